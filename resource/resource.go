// Package resource has the names of things: Resource Manager ids, how they compare,
// and the cloud's host names.
//
// Azure keeps the case in which a name was first written and compares without it.
// So a name is stored as it came and looked up by its Fold.
package resource

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// Fold returns the form of a name in which names compare: ASCII letters in lower
// case, all else as it is. Resource names are ASCII; folding more than that would
// let two different ids meet.
func Fold(name string) string {
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			b := []byte(name)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return name
}

// Equal reports whether a and b name the same thing.
func Equal(a, b string) bool { return Fold(a) == Fold(b) }

// NewGUID returns a random (version 4) UUID in lower case, RFC 9562.
func NewGUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// IsGUID reports whether s has the form of a UUID, in either case.
func IsGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
				return false
			}
		}
	}
	return true
}
