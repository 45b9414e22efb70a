package server

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"latchkey/envelope"
	"latchkey/front"
)

// rootKey reads a root key, 32 bytes in base64 in a file of its own, or makes it if
// nothing was ever sealed under it. A store whose key is missing must not get a new
// one: everything in it would look broken.
func rootKey(path string, fresh bool) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && fresh {
		key := make([]byte, envelope.SecretSize)
		rand.Read(key)
		if err := front.Replace(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("making a root key: %w", err)
		}
		return key, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the root key %s is missing, and what this directory holds opens with no other; put it back from where you keep it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a root key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading a root key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the root key %s can be read by others (mode %04o); make it 0600", path, info.Mode().Perm())
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != envelope.SecretSize {
		return nil, fmt.Errorf("the root key %s is not %d bytes in base64", path, envelope.SecretSize)
	}
	return key, nil
}

// wrongRoot says what it means that records do not open under a root key.
func wrongRoot(err error, path string) error {
	if errors.Is(err, envelope.ErrOtherKey) {
		return fmt.Errorf("the root key %s is not the one that this directory was sealed under; put the right one back, nothing was changed", path)
	}
	return err
}
