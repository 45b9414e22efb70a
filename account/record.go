package account

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"latchkey/resource"
	"latchkey/store"
)

// An account has two records of its kind in the control plane: itself, named after
// its address, and one that finds it by its endpoint. A deleted account has a third
// until its data is gone.
var (
	endpoints = store.RID{15: 1}
	deletions = store.RID{15: 2}
)

// accountRecord is an account as it is stored.
type accountRecord struct {
	ID, Location string
	Space        store.Space
	Tags         map[string]string `json:",omitempty"`
	Identity     Identity
	Encryption   Encryption
	Settings     Settings
	Keys         [2][]byte
	Created      time.Time
	Changed      time.Time
}

// endpointRecord leads from an endpoint to an account.
type endpointRecord struct{ Place store.RID }

// deletionRecord is what remains of a deleted account: the data to remove.
type deletionRecord struct {
	Space store.Space
	ID    string
}

// recordAt is the record that an account was read from.
type recordAt struct {
	place   store.RID
	version uint64
}

func endpointName(name, location string) string { return name + "." + location }

func (s *Service) account(rec *store.Record) (Account, error) {
	var r accountRecord
	if err := rec.Decode(&r); err != nil {
		return Account{}, err
	}
	id, err := resource.ParseID(r.ID)
	if err != nil || len(id.Names) == 0 {
		return Account{}, fmt.Errorf("reading an account: %q is not its id", r.ID)
	}
	return Account{
		ID: r.ID, Subscription: id.Subscription, Group: id.Group, Name: id.Names[0], Location: r.Location,
		Endpoint: s.cfg.Cloud.AccountEndpoint(id.Names[0], r.Location), Space: r.Space,
		Tags: r.Tags, Identity: r.Identity, Encryption: r.Encryption, Settings: r.Settings,
		Created: r.Created, Changed: r.Changed,
		keys: r.Keys, record: recordAt{rec.ID, rec.Version},
	}, nil
}

func (a Account) stored() accountRecord {
	return accountRecord{
		ID: a.ID, Location: a.Location, Space: a.Space, Tags: a.Tags, Identity: a.Identity, Encryption: a.Encryption,
		Settings: a.Settings, Keys: a.keys, Created: a.Created, Changed: a.Changed,
	}
}

// clone returns a copy that shares nothing, so that a change that fails changes
// nothing.
func (a Account) clone() Account {
	a.Tags = maps.Clone(a.Tags)
	a.Identity.User = slices.Clone(a.Identity.User)
	a.AuthenticationModes = slices.Clone(a.AuthenticationModes)
	a.keys = [2][]byte{bytes.Clone(a.keys[0]), bytes.Clone(a.keys[1])}
	return a
}

// find returns the account at an address, or its fault.
func (s *Service) find(tx *store.Tx, at Address) (Account, error) {
	rec, err := tx.Lookup(store.KindAccount, store.RID{}, at.key())
	if errors.Is(err, store.ErrNotFound) {
		return Account{}, at.missing()
	}
	if err != nil {
		return Account{}, err
	}
	return s.account(rec)
}

func (s *Service) atEndpoint(tx *store.Tx, name, location string) (Account, error) {
	rec, err := tx.Lookup(store.KindAccount, endpoints, endpointName(name, location))
	if err != nil {
		return Account{}, err
	}
	var e endpointRecord
	if err := rec.Decode(&e); err != nil {
		return Account{}, err
	}
	if rec, err = tx.Get(store.KindAccount, store.RID{}, e.Place); err != nil {
		return Account{}, err
	}
	return s.account(rec)
}

// insert writes a new account with its endpoint.
func (s *Service) insert(tx *store.Tx, a Account) error {
	rec, err := tx.Insert(store.KindAccount, store.RID{}, a.Address().key(), store.Clear{}, a.stored())
	if err != nil {
		return err
	}
	_, err = tx.Insert(store.KindAccount, endpoints, endpointName(a.Name, a.Location), store.Clear{}, endpointRecord{rec.ID})
	return err
}

// errMoved: somebody else has changed the account since it was read.
var errMoved = errors.New("the account changed since it was read")

// put writes an account again, if it is still as it was read.
func put(tx *store.Tx, a Account) error {
	rec, err := tx.Get(store.KindAccount, store.RID{}, a.record.place)
	if errors.Is(err, store.ErrNotFound) || err == nil && rec.Version != a.record.version {
		return errMoved
	}
	if err != nil {
		return err
	}
	return tx.Put(rec, store.Clear{}, a.stored())
}

// remove takes an account and its endpoint out of the control plane and notes that its
// data is to be deleted.
func remove(tx *store.Tx, a Account) error {
	for _, name := range []struct {
		parent store.RID
		name   string
	}{{store.RID{}, a.Address().key()}, {endpoints, endpointName(a.Name, a.Location)}} {
		rec, err := tx.Lookup(store.KindAccount, name.parent, name.name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := tx.Delete(rec); err != nil {
			return err
		}
	}
	_, err := tx.Insert(store.KindAccount, deletions, "", store.Clear{}, deletionRecord{a.Space, a.ID})
	return err
}
