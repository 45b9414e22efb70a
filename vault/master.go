package vault

import (
	"latchkey/envelope"
	"latchkey/store"
)

// MasterKey returns the keys of the vaults' own store, derived from the vault master
// key: 32 random bytes, which the caller wipes. Nothing else is sealed under it, and
// no other key opens a vault.
func MasterKey(secret []byte) store.Keys { return master{envelope.NewKey(secret, 1)} }

type master struct{ *envelope.Key }

// Sealer implements store.Keys: there is one space and one key.
func (m master) Sealer(store.Space) (store.Sealer, error) { return m, nil }

// Names implements store.Sealer.
func (m master) Names(label []byte) ([][]byte, error) {
	tag, err := m.Name(label)
	if err != nil {
		return nil, err
	}
	return [][]byte{tag}, nil
}

// Fresh implements store.Sealer.
func (m master) Fresh(sealed []byte) bool { return envelope.Generation(sealed) == m.Generation() }
