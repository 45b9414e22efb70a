package identity

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"latchkey/store"
)

// keyBits is the size of a signing key. Clients of all ages check RS256 with 2048.
const keyBits = 2048

// keyRecord is a stored signing key.
type keyRecord struct {
	KID     string
	Private []byte // PKCS #8
	Created time.Time
}

type signingKey struct {
	kid     string
	private *rsa.PrivateKey
	created time.Time
}

// newSigningKey makes a key. Its id is the thumbprint of its public half (RFC 7638).
func newSigningKey() (keyRecord, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return keyRecord{}, fmt.Errorf("making a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return keyRecord{}, fmt.Errorf("writing a signing key: %w", err)
	}
	n, e := numbers(&private.PublicKey)
	sum := sha256.Sum256([]byte(`{"e":"` + e + `","kty":"RSA","n":"` + n + `"}`))
	return keyRecord{KID: base64.RawURLEncoding.EncodeToString(sum[:]), Private: der, Created: time.Now().UTC()}, nil
}

func (k *keyRecord) open() (*signingKey, error) {
	private, err := x509.ParsePKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, fmt.Errorf("reading signing key %s: %w", k.KID, err)
	}
	key, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("a signing key is not RSA")
	}
	return &signingKey{kid: k.KID, private: key, created: k.Created}, nil
}

// numbers writes the public numbers of a key as a JWK does.
func numbers(k *rsa.PublicKey) (n, e string) {
	return base64.RawURLEncoding.EncodeToString(k.N.Bytes()),
		base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes())
}

// A PublicKey is the public half of a signing key, as a JWK writes it.
type PublicKey struct{ KID, N, E string }

// SigningKeys lists the keys with which tokens may be signed, the newest first: that
// one signs.
func (d *Directory) SigningKeys(ctx context.Context) ([]PublicKey, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([]*signingKey, 0, len(v.keys))
	for _, k := range v.keys {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b *signingKey) int {
		return cmp.Or(b.created.Compare(a.created), cmp.Compare(a.kid, b.kid))
	})
	out := make([]PublicKey, 0, len(keys))
	for _, k := range keys {
		n, e := numbers(&k.private.PublicKey)
		out = append(out, PublicKey{KID: k.kid, N: n, E: e})
	}
	return out, nil
}

// RotateSigningKey makes a new key that signs from now on. Older keys go on being
// good for the tokens that they signed, and go away once the last of those has run
// out.
func (d *Directory) RotateSigningKey(ctx context.Context) error {
	record, err := newSigningKey()
	if err != nil {
		return err
	}
	key, err := record.open()
	if err != nil {
		return err
	}
	err = d.change(ctx, func(tx *store.Tx, v *view) error {
		for kid, old := range v.keys {
			// A key that is older than the present signer signed its last token before
			// that one was made.
			if old != v.newest() && time.Since(v.newest().created) > managedLifetime {
				if err := remove(tx, store.KindSigningKey, kid); err != nil {
					return err
				}
				delete(v.keys, kid)
			}
		}
		v.keys[key.kid] = key
		_, err := tx.Insert(store.KindSigningKey, store.RID{}, key.kid, store.Clear{}, record)
		return err
	})
	if err != nil {
		return fmt.Errorf("rotating the signing key: %w", err)
	}
	return nil
}

// newest returns the key that signs. A directory always has one.
func (v *view) newest() *signingKey {
	var newest *signingKey
	for _, k := range v.keys {
		if newest == nil || k.created.After(newest.created) {
			newest = k
		}
	}
	return newest
}
