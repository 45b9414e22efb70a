package keyring

import (
	"latchkey/envelope"
	"latchkey/store"
)

// Fixed returns the keys of a store with one space, the zero one, that is sealed under
// a root key and never locked: the vaults' store. The purpose makes it a key of its
// own even if an operator uses one root key twice. It panics if the root key has the
// wrong length.
func Fixed(secret []byte, purpose string) store.Keys {
	if len(secret) != envelope.SecretSize {
		panic("keyring: a root key has 32 bytes")
	}
	return fixed{&keyset{keys: []*envelope.Key{root(secret, "latchkey "+purpose+" v1")}}}
}

type fixed struct{ set *keyset }

func (f fixed) Sealer(store.Space) (store.Sealer, error) { return &sealer{set: f.set}, nil }
