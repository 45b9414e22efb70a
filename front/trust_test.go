package front_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latchkey/front"
	"latchkey/resource"

	"software.sslmate.com/src/go-pkcs12"
)

func TestTrustHasEveryRootOnce(t *testing.T) {
	t.Parallel()
	a := mustAuthority(t, t.TempDir(), resource.Azure(), quiet).PEM()
	b := mustAuthority(t, t.TempDir(), resource.Azure(), quiet).PEM()
	dir := t.TempDir()
	// Real bundles have comments, and lack the last line's end.
	file, err := front.WriteTrust(dir, append([]byte("# roots\n"), bytes.TrimSpace(a)...), b, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, append(append([]byte{}, a...), b...)) {
		t.Errorf("trust file has %d certificates (%v), want a, then b", bytes.Count(got, []byte("BEGIN")), err)
	}
	if again, err := front.WriteTrust(dir, a, b); err != nil || again != file {
		t.Errorf("the same roots are in %s, %v, want %s", again, err, file)
	}
	if other, err := front.WriteTrust(dir, b); err != nil || other == file {
		t.Errorf("other roots are in %s too (%v)", other, err)
	}
	store, err := front.WriteTrustStore(file)
	if err != nil {
		t.Fatal(err)
	}
	der, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := pkcs12.DecodeTrustStore(der, front.TrustStorePassword)
	if err != nil || len(certs) != 2 {
		t.Errorf("trust store has %d certificates, %v, want 2", len(certs), err)
	}
}

func TestRootsReadsFilesAndDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.pem"), []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "0a1b2c3d.0")); err != nil {
		t.Fatal(err)
	}
	if got, err := front.Roots(filepath.Join(dir, "a.pem")); err != nil || string(got) != "one" {
		t.Errorf("Roots(file) = %q, %v", got, err)
	}
	if got, err := front.Roots(dir); err != nil || strings.TrimSpace(string(got)) != "one" {
		t.Errorf("Roots(directory) = %q, %v", got, err)
	}
	if _, err := front.Roots(filepath.Join(dir, "gone")); !os.IsNotExist(err) {
		t.Errorf("Roots of nothing = %v, want that it does not exist", err)
	}
}
