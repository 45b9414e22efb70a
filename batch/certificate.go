package batch

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// A CertificateSpec is a certificate as its owner gives it.
type CertificateSpec struct {
	Thumbprint, Algorithm string
	// Data is a PFX or a CER file in base64; Format is "pfx" (also if empty) or "cer".
	Data, Format, Password string
}

// A Certificate is a certificate as it is now. Its private key is never shown.
type Certificate struct {
	Thumbprint, Algorithm, Format string
	State, Previous               string
	StateAt, PreviousAt, Created  time.Time
	PublicData                    string
	DeleteError                   *Failure
	Modified                      uint64
}

// certificateRecord is how a certificate is stored.
type certificateRecord struct {
	Algorithm, Format string
	Data              []byte
	Password          string `json:",omitempty"`
	Public            []byte
	StateAt           time.Time
	Previous          store.State `json:",omitempty"`
	PreviousAt        time.Time   `json:",omitzero"`
	Error             *Failure    `json:",omitempty"`
}

// certificate returns a certificate by its thumbprint.
func certificate(tx *store.Tx, thumbprint string) (*store.Record, *certificateRecord, error) {
	r, err := tx.Lookup(store.KindCertificate, store.RID{}, thumbprint)
	if err != nil {
		return nil, nil, missing(err, fault.CertificateNotFound, "The specified certificate %q does not exist.", thumbprint)
	}
	c := &certificateRecord{}
	return r, c, r.Decode(c)
}

func (c *certificateRecord) out(r *store.Record) Certificate {
	return Certificate{
		Thumbprint: r.Name, Algorithm: c.Algorithm, Format: c.Format,
		State: names[store.KindCertificate][r.Clear.State], Previous: names[store.KindCertificate][c.Previous],
		StateAt: c.StateAt, PreviousAt: c.PreviousAt, Created: moment(r.ID.Sequence()),
		PublicData: base64.StdEncoding.EncodeToString(c.Public), DeleteError: c.Error, Modified: r.Version,
	}
}

// move brings a certificate into another state; one that is being deleted is due.
func (c *certificateRecord) move(tx *store.Tx, r *store.Record, to store.State) error {
	if !mayMove(store.KindCertificate, r.Clear.State, to) {
		return errors.New("a certificate cannot go there")
	}
	c.Previous, c.PreviousAt = r.Clear.State, c.StateAt
	c.StateAt = now()
	fields := store.Clear{State: to}
	if to == CertificateDeleting {
		fields.Due = c.StateAt
	}
	return tx.Put(r, fields, c)
}

// read opens the file that was given and checks that it is what the thumbprint says.
func (c *CertificateSpec) read() (*certificateRecord, error) {
	c.Thumbprint = strings.ToLower(c.Thumbprint)
	switch {
	case c.Thumbprint == "":
		return nil, NoProperty("thumbprint")
	case c.Algorithm == "":
		return nil, NoProperty("thumbprintAlgorithm")
	case !strings.EqualFold(c.Algorithm, "sha1"):
		return nil, BadProperty("thumbprintAlgorithm", c.Algorithm, "it must be sha1")
	case c.Data == "":
		return nil, NoProperty("data")
	}
	if b, err := hex.DecodeString(c.Thumbprint); err != nil || len(b) != sha1.Size {
		return nil, BadProperty("thumbprint", c.Thumbprint, "a SHA-1 thumbprint has 40 hexadecimal digits")
	}
	data, err := base64.StdEncoding.DecodeString(c.Data)
	if err != nil {
		return nil, BadProperty("data", "", "it is not base64")
	}
	if len(data) > 10<<10 {
		return nil, BadProperty("data", "", "a certificate has at most 10 KB")
	}
	rec := &certificateRecord{Algorithm: "sha1", Format: strings.ToLower(c.Format), Data: data, Password: c.Password, StateAt: now()}
	switch rec.Format {
	case "", "pfx":
		rec.Format = "pfx"
		_, leaf, _, err := pkcs12.DecodeChain(data, c.Password)
		if errors.Is(err, pkcs12.ErrIncorrectPassword) {
			return nil, fault.InvalidCertificate.New("The password does not open the certificate.").With("PropertyName", "password")
		}
		if err != nil {
			return nil, fault.InvalidCertificate.New("The data is not a PFX file with a certificate and its private key.").With("PropertyName", "data")
		}
		rec.Public = leaf.Raw
	case "cer":
		if c.Password != "" {
			return nil, BadProperty("password", "", "it must not be given for a cer file")
		}
		if block, _ := pem.Decode(data); block != nil && block.Type == "CERTIFICATE" {
			data = block.Bytes
		}
		leaf, err := x509.ParseCertificate(data)
		if err != nil {
			return nil, fault.InvalidCertificate.New("The data is not a certificate.").With("PropertyName", "data")
		}
		rec.Public = leaf.Raw
	default:
		return nil, BadProperty("certificateFormat", c.Format, "it must be pfx or cer")
	}
	if sum := sha1.Sum(rec.Public); hex.EncodeToString(sum[:]) != c.Thumbprint {
		return nil, fault.InvalidCertificate.New("The thumbprint is not that of the certificate.").With("PropertyName", "thumbprint")
	}
	return rec, nil
}

// AddCertificate adds a certificate.
func (s *Service) AddCertificate(ctx context.Context, who identity.Caller, acct Account, in CertificateSpec) (Certificate, error) {
	if err := s.require(ctx, who, acct, writeCertificates); err != nil {
		return Certificate{}, err
	}
	rec, err := in.read()
	if err != nil {
		return Certificate{}, err
	}
	var out Certificate
	err = s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		r, err := tx.Insert(store.KindCertificate, store.RID{}, in.Thumbprint, store.Clear{State: CertificateActive}, rec)
		if errors.Is(err, store.ErrExists) {
			return fault.CertificateExists.New("The specified certificate %q already exists.", in.Thumbprint)
		}
		if err != nil {
			return err
		}
		out = rec.out(r)
		return nil
	})
	return out, err
}

// ReplaceCertificate gives a certificate other data of the same thumbprint, such as
// another password, or adds it. An empty Data keeps what there is.
func (s *Service) ReplaceCertificate(ctx context.Context, who identity.Caller, acct Account, in CertificateSpec, cond Condition) (out Certificate, created bool, err error) {
	if err := s.require(ctx, who, acct, writeCertificates); err != nil {
		return Certificate{}, false, err
	}
	err = s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		created = false
		r, have, err := certificate(tx, in.Thumbprint)
		if errors.Is(err, fault.CertificateNotFound) {
			if err := cond.check(0); err != nil {
				return err
			}
			rec, err := in.read()
			if err != nil {
				return err
			}
			created = true
			if r, err = tx.Insert(store.KindCertificate, store.RID{}, in.Thumbprint, store.Clear{State: CertificateActive}, rec); err != nil {
				return err
			}
			out = rec.out(r)
			return nil
		}
		if err != nil {
			return err
		}
		if err := cond.check(r.Version); err != nil {
			return err
		}
		if r.Clear.State == CertificateDeleting {
			return fault.CertificateBeingDeleted.New("The specified certificate %q is being deleted.", in.Thumbprint)
		}
		if in.Data == "" {
			in.Data = base64.StdEncoding.EncodeToString(have.Data)
		}
		if in.Format == "" {
			in.Format = have.Format
		}
		rec, err := in.read()
		if err != nil {
			return err
		}
		have.Data, have.Format, have.Password, have.Public = rec.Data, rec.Format, rec.Password, rec.Public
		if err := tx.Put(r, r.Clear, have); err != nil {
			return err
		}
		out = have.out(r)
		return nil
	})
	return out, created, err
}

// Certificate returns a certificate.
func (s *Service) Certificate(ctx context.Context, who identity.Caller, acct Account, thumbprint string) (Certificate, error) {
	if err := s.require(ctx, who, acct, readCertificates); err != nil {
		return Certificate{}, err
	}
	var out Certificate
	err := s.store.View(ctx, acct.Space, func(tx *store.Tx) error {
		r, c, err := certificate(tx, thumbprint)
		if err == nil {
			out = c.out(r)
		}
		return err
	})
	return out, err
}

// Certificates lists certificates in the order in which they were added.
func (s *Service) Certificates(ctx context.Context, who identity.Caller, acct Account, l List[Certificate]) ([]Certificate, string, error) {
	if err := s.require(ctx, who, acct, readCertificates); err != nil {
		return nil, "", err
	}
	return list(ctx, s, acct.Space, l, store.KindCertificate, nil, func(_ *store.Tx, r *store.Record) (Certificate, error) {
		c := &certificateRecord{}
		if err := r.Decode(c); err != nil {
			return Certificate{}, err
		}
		return c.out(r), nil
	})
}

// changeCertificate lets fn move a certificate.
func (s *Service) changeCertificate(ctx context.Context, who identity.Caller, acct Account, thumbprint, action string,
	fn func(*store.Tx, *store.Record, *certificateRecord) error,
) error {
	if err := s.require(ctx, who, acct, action); err != nil {
		return err
	}
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		r, c, err := certificate(tx, thumbprint)
		if err != nil {
			return err
		}
		return fn(tx, r, c)
	})
	if err == nil {
		s.kick(acct.Space)
	}
	return err
}

// DeleteCertificate begins to delete a certificate. If a pool uses it the deletion
// fails, which the certificate's state then says.
func (s *Service) DeleteCertificate(ctx context.Context, who identity.Caller, acct Account, thumbprint string) error {
	return s.changeCertificate(ctx, who, acct, thumbprint, deleteCertificates, func(tx *store.Tx, r *store.Record, c *certificateRecord) error {
		if r.Clear.State == CertificateDeleting {
			return fault.CertificateBeingDeleted.New("The specified certificate %q is being deleted.", thumbprint)
		}
		c.Error = nil
		return c.move(tx, r, CertificateDeleting)
	})
}

// CancelCertificateDelete makes a certificate active whose deletion has failed.
func (s *Service) CancelCertificateDelete(ctx context.Context, who identity.Caller, acct Account, thumbprint string) error {
	return s.changeCertificate(ctx, who, acct, thumbprint, writeCertificates, func(tx *store.Tx, r *store.Record, c *certificateRecord) error {
		switch r.Clear.State {
		case CertificateActive:
			return fault.CertificateStateActive.New("The specified certificate %q is active.", thumbprint)
		case CertificateDeleting:
			return fault.CertificateBeingDeleted.New("The specified certificate %q is being deleted.", thumbprint)
		}
		c.Error = nil
		return c.move(tx, r, CertificateActive)
	})
}

// settleCertificate deletes a certificate, unless a pool uses it.
func (s *Service) settleCertificate(ctx context.Context, space store.Space, at store.Place) error {
	return s.store.Update(ctx, space, func(tx *store.Tx) error {
		r, err := tx.Get(store.KindCertificate, at.Parent, at.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && r.Clear.State != CertificateDeleting {
			return nil
		}
		if err != nil {
			return err
		}
		c := &certificateRecord{}
		if err := r.Decode(c); err != nil {
			return err
		}
		var users []string
		// No pool can begin to use it meanwhile: a reference needs an active certificate.
		for pr, err := range tx.Records(store.KindPool, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			p, err := openPool(pr)
			if err != nil {
				return err
			}
			for _, ref := range p.Certificates {
				if strings.EqualFold(ref.Thumbprint, r.Name) {
					users = append(users, p.ID)
				}
			}
		}
		if len(users) == 0 {
			return tx.Delete(r)
		}
		c.Error = &Failure{
			Code: "PoolsReferencingCertificate", Message: "The specified certificate is being used by the listed pools.",
			Details: []Pair{{"Pools", strings.Join(users, ",")}},
		}
		return c.move(tx, r, CertificateDeleteFailed)
	})
}
