package store

import (
	"encoding/binary"
	"time"
)

// This file is the one list of what stays readable without an account's key:
//
//   - which account a row belongs to, as a random number (Space);
//   - what kind of record it is (Kind), and its schema;
//   - its place: the random number of the record and of its parent, which begin with
//     the sequence in which they were made (RID);
//   - the fields of Clear: state, priority, the record it counts under, one time;
//   - how many records are in which state;
//   - an HMAC of its name, and its size.
//
// Nothing else is. No name, no command line, no environment, no path, no error text.

// A Kind says what a record is. The numbers are stored; they never change meaning.
type Kind byte

// The kinds. Control-plane records are sealed under the platform key, a Batch
// account's under its account key, a vault's under the vault master key.
const (
	// Control plane.
	KindTenant       Kind = 1
	KindSubscription Kind = 2
	KindGroup        Kind = 3
	KindApplication  Kind = 4
	KindIdentity     Kind = 5 // user-assigned and system-assigned identities
	KindRole         Kind = 6 // role assignments
	KindSigningKey   Kind = 7
	KindOperation    Kind = 8 // long-running operations
	KindAccount      Kind = 9
	KindWrapping     Kind = 10 // wrapped account keys
	KindProvider     Kind = 11 // provider registrations

	// A Batch account.
	KindPool        Kind = 32
	KindNode        Kind = 33
	KindJob         Kind = 34
	KindTask        Kind = 35
	KindCertificate Kind = 36
	KindWait        Kind = 37 // a task that waits; its parent is what it waits for

	// The vault store.
	KindVault        Kind = 64
	KindVaultKey     Kind = 65
	KindKeyVersion   Kind = 66
	KindDeletedVault Kind = 67
	KindDeletedKey   Kind = 68
)

// A Space is one account's records: a random number that is made with the account
// and never used again, even if an account of the same name comes back. The zero
// Space is the control plane (or, in the vault's store, the vaults).
type Space [16]byte

// A RID is the place of a record: eight bytes of sequence, then eight random ones.
// RIDs sort by the order in which records were made. The zero RID is "none".
type RID [16]byte

// Sequence returns the sequence number in a RID.
func (r RID) Sequence() uint64 { return binary.BigEndian.Uint64(r[:]) }

// State is the stored number of a record's state; zero means that the kind has no
// states and the record is not counted or listed by state.
type State byte

// Clear is what stays readable of a record's contents.
type Clear struct {
	State State
	// Priority orders records in the same state: higher first.
	Priority int32
	// Under is the record that this one is counted and listed under by state: the
	// pool of a job, the job of a task.
	Under RID
	// Due puts the record into the list of what has to be looked at by then: the end
	// of a lease, a deadline. Zero means never.
	Due time.Time
}

const (
	clearSize = 1 + 4 + 16 + 8
	schema    = 1
)

// append encodes c. Priorities sort descending, so the stored number is inverted.
func (c Clear) append(b []byte) []byte {
	b = append(b, byte(c.State))
	b = binary.BigEndian.AppendUint32(b, descending(c.Priority))
	b = append(b, c.Under[:]...)
	return binary.BigEndian.AppendUint64(b, due(c.Due))
}

func parseClear(b []byte) Clear {
	c := Clear{State: State(b[0]), Priority: int32(^binary.BigEndian.Uint32(b[1:]) ^ 1<<31)}
	copy(c.Under[:], b[5:21])
	if ns := binary.BigEndian.Uint64(b[21:]); ns != 0 {
		c.Due = time.Unix(0, int64(ns)).UTC()
	}
	return c
}

// descending maps priorities to numbers that sort the other way round.
func descending(p int32) uint32 { return ^(uint32(p) ^ 1<<31) }

func due(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}
