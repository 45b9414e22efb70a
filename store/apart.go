package store

import "fmt"

// apart keeps what Seal makes from ever being taken for a record: the associated data
// of records does not begin like this.
const apart = "latchkey apart from records: "

// Seal seals bytes under the key of a space for what leaves the store and may come
// back: a backup. Purpose says what it is; bytes of another purpose do not open.
func (s *Store) Seal(space Space, purpose string, plain []byte) ([]byte, error) {
	sealer, err := s.keys.Sealer(space)
	if err != nil {
		return nil, err
	}
	defer release(sealer)
	sealed, err := sealer.Seal([]byte(apart+purpose), plain)
	if err != nil {
		return nil, fmt.Errorf("sealing a %s: %w", purpose, err)
	}
	return sealed, nil
}

// Open opens what Seal sealed.
func (s *Store) Open(space Space, purpose string, sealed []byte) ([]byte, error) {
	sealer, err := s.keys.Sealer(space)
	if err != nil {
		return nil, err
	}
	defer release(sealer)
	plain, err := sealer.Open([]byte(apart+purpose), sealed)
	if err != nil {
		return nil, fmt.Errorf("opening a %s: %w", purpose, err)
	}
	return plain, nil
}
