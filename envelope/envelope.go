// Package envelope seals records and wraps keys.
//
// Its one idea is the account key: 32 random bytes, one per generation, from which
// everything else is derived with HKDF (RFC 5869). A record is sealed with
// AES-256-GCM (NIST SP 800-38D) under a key of its own, derived from the account key
// and 32 random bytes that travel with the record, so no key ever meets two nonces
// by accident however many records there are. Names are turned into HMAC-SHA256
// tags, so that they can be looked up and not read.
//
// The caller says what a record is bound to (its account, kind, place and the fields
// that stay readable) as associated data. A record that was moved, changed, or sealed
// under another key does not open, and the error says which of these it was.
package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// SecretSize is the length of an account key in bytes.
const SecretSize = 32

// The layout of a sealed record, in bytes:
//
//	0      1           5        13       21      53     65
//	format generation  key tag  place    salt    nonce  ciphertext + 16 tag
//
// Key tag and place are there for the error message only: they tell a record of
// another key from one that was moved from one that was changed. All of the header
// is associated data.
const (
	format      = 1
	genAt       = 1
	tagAt       = 5
	placeAt     = 13
	saltAt      = 21
	nonceAt     = 53
	headerSize  = 65
	overhead    = headerSize + 16
	tagSize     = tagEnd - tagAt
	tagEnd      = placeAt
	placeEnd    = saltAt
	infoRecord  = "latchkey record v1"
	infoName    = "latchkey name v1"
	infoTag     = "latchkey key tag v1"
	infoCommit  = "latchkey commitment v1"
	infoRecords = "latchkey records v1"
)

// Why a record does not open.
var (
	// ErrGeneration: it was sealed under another generation of the account key.
	ErrGeneration = errors.New("it was sealed under another generation of the account key")
	// ErrOtherKey: it was sealed under a key that is not this account's.
	ErrOtherKey = errors.New("it was sealed under another account's key")
	// ErrMoved: it was sealed for another place: another record, kind or account.
	ErrMoved = errors.New("it was moved here from another place")
	// ErrChanged: its seal is broken.
	ErrChanged = errors.New("it was changed after it was sealed")
	// ErrWiped: the key has been taken out of memory.
	ErrWiped = errors.New("the key is no longer in memory")
)

// NewSecret returns a fresh account key.
func NewSecret() []byte {
	secret := make([]byte, SecretSize)
	rand.Read(secret)
	return secret
}

// A Key is one generation of an account key with what is derived from it. It is safe
// for concurrent use.
type Key struct {
	generation uint32
	tag        [tagSize]byte

	// mu lets Wipe wait for the calls in flight, so that nothing is read half wiped.
	mu      sync.RWMutex
	wiped   bool
	records [32]byte
	names   [32]byte
}

// NewKey derives a Key from an account key. The secret is not kept; the caller wipes
// it. It panics if the secret has the wrong length.
func NewKey(secret []byte, generation uint32) *Key {
	if len(secret) != SecretSize {
		panic("envelope: an account key has 32 bytes")
	}
	k := &Key{generation: generation}
	derive(k.records[:], secret, infoRecords)
	derive(k.names[:], secret, infoName)
	derive(k.tag[:], secret, infoTag)
	return k
}

// derive fills out from a secret that is uniformly random already, for which HKDF
// needs only its second half (RFC 5869, section 3.3).
func derive(out, secret []byte, info string) {
	b, err := hkdf.Expand(sha256.New, secret, info, len(out))
	if err != nil {
		panic("envelope: " + err.Error())
	}
	copy(out, b)
	clear(b)
}

// Generation returns the generation of the account key.
func (k *Key) Generation() uint32 { return k.generation }

// Wipe overwrites the key. Every later call fails with ErrWiped.
func (k *Key) Wipe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wiped = true
	clear(k.records[:])
	clear(k.names[:])
}

// Seal seals plain for the place that ad describes.
func (k *Key) Seal(ad, plain []byte) ([]byte, error) {
	out := make([]byte, headerSize, overhead+len(plain))
	out[0] = format
	binary.BigEndian.PutUint32(out[genAt:], k.generation)
	copy(out[tagAt:], k.tag[:])
	place := sha256.Sum256(ad)
	copy(out[placeAt:placeEnd], place[:])
	rand.Read(out[saltAt:headerSize])
	aead, err := k.aead(out[saltAt:nonceAt])
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, out[nonceAt:headerSize], plain, bind(out[:saltAt], ad)), nil
}

// Open opens what Seal made for the same place. It fails with one of the errors
// above.
func (k *Key) Open(ad, sealed []byte) ([]byte, error) {
	if len(sealed) < overhead || sealed[0] != format {
		return nil, ErrChanged
	}
	if g := Generation(sealed); g != k.generation {
		return nil, fmt.Errorf("generation %d, not %d: %w", g, k.generation, ErrGeneration)
	}
	aead, err := k.aead(sealed[saltAt:nonceAt])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, sealed[nonceAt:headerSize], sealed[headerSize:], bind(sealed[:saltAt], ad))
	if err == nil {
		return plain, nil
	}
	if subtle.ConstantTimeCompare(sealed[tagAt:tagEnd], k.tag[:]) == 0 {
		return nil, ErrOtherKey
	}
	place := sha256.Sum256(ad)
	if subtle.ConstantTimeCompare(sealed[placeAt:placeEnd], place[:placeEnd-placeAt]) == 0 {
		return nil, ErrMoved
	}
	return nil, ErrChanged
}

// Generation returns the generation that a sealed record says it was sealed under;
// zero if it is not a sealed record.
func Generation(sealed []byte) uint32 {
	if len(sealed) < overhead || sealed[0] != format {
		return 0
	}
	return binary.BigEndian.Uint32(sealed[genAt:])
}

// Name returns the tag under which a name can be found. The label holds everything
// that makes the name unique: kind, parent, folded name.
func (k *Key) Name(label []byte) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.wiped {
		return nil, ErrWiped
	}
	mac := hmac.New(sha256.New, k.names[:])
	mac.Write(label)
	return mac.Sum(nil), nil
}

// aead makes the cipher of one record.
func (k *Key) aead(salt []byte) (cipher.AEAD, error) {
	k.mu.RLock()
	if k.wiped {
		k.mu.RUnlock()
		return nil, ErrWiped
	}
	key, err := hkdf.Expand(sha256.New, k.records[:], infoRecord+string(salt), 32)
	k.mu.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("deriving a record key: %w", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making a record cipher: %w", err)
	}
	return cipher.NewGCM(block)
}

func bind(header, ad []byte) []byte {
	b := make([]byte, 0, len(header)+len(ad))
	return append(append(b, header...), ad...)
}

// Commitment returns a value that can be stored beside a wrapped account key: it
// tells whether an unwrapped key is the one that was wrapped, and nothing else about
// it. Without it, whoever holds the wrapping key could swap in another account key.
func Commitment(secret []byte, account []byte, generation uint32) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(infoCommit))
	mac.Write(binary.BigEndian.AppendUint32(nil, generation))
	mac.Write(account)
	return mac.Sum(nil)
}
