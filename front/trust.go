package front

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"software.sslmate.com/src/go-pkcs12"
)

// TrustStorePassword opens the stores that WriteTrustStore makes. It guards nothing,
// since certificates are public, but the JVM reads no store without one.
const TrustStorePassword = "changeit"

// systemBundles are the places where systems keep their roots in one file.
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL 7 and newer
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/tls/cacert.pem",
	"/etc/ssl/cert.pem", // macOS, BSD
}

// SystemRoots returns the system's roots in PEM, or nothing where there is no such
// file.
func SystemRoots() []byte {
	for _, path := range systemBundles {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			return b
		}
	}
	return nil
}

// Roots returns the certificates in a PEM file, or in all files of a directory, which
// is what variables such as SSL_CERT_FILE point at.
func Roots(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return os.ReadFile(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, e := range entries {
		// Links of a hashed directory may lead anywhere, also nowhere.
		if b, err := os.ReadFile(filepath.Join(path, e.Name())); err == nil {
			all = append(append(all, b...), '\n')
		}
	}
	return all, nil
}

// WriteTrust writes every certificate of the given PEM texts once into one file of
// dir and returns its path. The name is made from the content: what a running
// program was given never changes under it.
func WriteTrust(dir string, texts ...[]byte) (string, error) {
	var out bytes.Buffer
	seen := map[[sha256.Size]byte]bool{}
	for _, text := range texts {
		for {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil {
				break
			}
			sum := sha256.Sum256(block.Bytes)
			if block.Type != "CERTIFICATE" || seen[sum] {
				continue
			}
			seen[sum] = true
			pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes})
		}
	}
	path := filepath.Join(dir, "trust-"+contentName(out.Bytes())+".pem")
	return path, writeOnce(path, func() ([]byte, error) { return out.Bytes(), nil })
}

// WriteTrustStore makes a PKCS#12 trust store for the JVM from a file of WriteTrust,
// beside it, and returns its path.
func WriteTrustStore(trust string) (string, error) {
	path := trust[:len(trust)-len(filepath.Ext(trust))] + ".p12"
	return path, writeOnce(path, func() ([]byte, error) {
		text, err := os.ReadFile(trust)
		if err != nil {
			return nil, err
		}
		var certs []*x509.Certificate
		for {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil {
				break
			}
			// Go is stricter than the systems whose roots these are; what it cannot
			// read it cannot put into the store either.
			if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
				certs = append(certs, cert)
			}
		}
		// Entries are named after their subjects, and names must differ.
		entries := make([]pkcs12.TrustStoreEntry, len(certs))
		for i, cert := range certs {
			entries[i] = pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: fmt.Sprintf("root-%d", i)}
		}
		return pkcs12.Modern.EncodeTrustStoreEntries(entries, TrustStorePassword)
	})
}

func contentName(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// writeOnce makes a file whose name says what is in it.
func writeOnce(path string, content func() ([]byte, error)) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := content()
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return Replace(path, slices.Clip(b), 0o600)
}
