package front_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/front"
	"latchkey/resource"
)

var quiet = slog.New(slog.DiscardHandler)

func mustAuthority(t *testing.T, dir string, cloud resource.Cloud, log *slog.Logger) *front.Authority {
	t.Helper()
	ca, err := front.OpenAuthority(dir, cloud, log)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func mustLeaf(t *testing.T, ca *front.Authority, name string) *x509.Certificate {
	t.Helper()
	cert, err := ca.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}

func TestLeavesAreForOurNamesOnly(t *testing.T) {
	t.Parallel()
	ca := mustAuthority(t, t.TempDir(), resource.Azure(), quiet)
	for _, name := range []string{"management.azure.com", "V1.vault.azure.net", "a1.westeurope.batch.azure.com", "login.microsoftonline.com", "localhost", ""} {
		leaf := mustLeaf(t, ca, name)
		verify := name
		if name == "" {
			verify = "127.0.0.1"
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: verify}); err != nil {
			t.Errorf("certificate for %q: %v", name, err)
		}
		if len(leaf.DNSNames) != 1 || name != "" && leaf.DNSNames[0] != strings.ToLower(name) {
			t.Errorf("certificate for %q is made out to %q, want exactly that", name, leaf.DNSNames)
		}
	}
	for _, name := range []string{"example.com", "vault.azure.net", "evil-management.azure.com", "azure.com", "management.azure.com.example.com", "*.vault.azure.net", "a b.vault.azure.net", "..vault.azure.net", strings.Repeat("a", 70) + ".vault.azure.net"} {
		if _, err := ca.GetCertificate(&tls.ClientHelloInfo{ServerName: name}); err == nil {
			t.Errorf("GetCertificate(%q) gave a certificate, want a refusal", name)
		}
	}
}

// forge signs a certificate for a name with the authority's own key, as a thief of
// the key would.
func forge(t *testing.T, dir, name string) []byte {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, pair.Leaf, key.Public(), pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestStolenAuthorityVouchesForNobodyElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := mustAuthority(t, dir, resource.Azure(), quiet)
	for name, valid := range map[string]bool{
		"x.vault.azure.net": true, "localhost": true, "127.0.0.1": true, "::1": true,
		"example.com": false, "www.azure.com": false, "evilvault.azure.net": false, "10.0.0.1": false, "127.0.0.2": false,
	} {
		leaf, err := x509.ParseCertificate(forge(t, dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: ca.Pool()}); (err == nil) != valid {
			t.Errorf("forged certificate for %s: %v, want valid %t", name, err, valid)
		}
	}
}

func TestAuthorityIsKeptAndItsFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := mustAuthority(t, dir, resource.Azure(), quiet)
	again := mustAuthority(t, dir, resource.Azure(), quiet)
	if !bytes.Equal(first.PEM(), again.PEM()) {
		t.Error("the second start made another authority")
	}
	for _, name := range []string{"ca.pem", "ca.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want mode 0600", name, info.Mode(), err)
		}
	}
}

func TestUnfitAuthorityIsReplacedAndSaysWhy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(t *testing.T, dir string)
		cloud resource.Cloud
		says  string
	}{
		"another cloud": {func(*testing.T, string) {}, resource.Own("cloud.example"), "names of another cloud"},
		"key of another": {func(t *testing.T, dir string) {
			other := t.TempDir()
			mustAuthority(t, other, resource.Azure(), quiet)
			if err := os.Rename(filepath.Join(other, "ca.key"), filepath.Join(dir, "ca.key")); err != nil {
				t.Fatal(err)
			}
		}, resource.Azure(), "do not belong together"},
		"damaged": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("?"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, resource.Azure(), "cannot be parsed"},
		"key gone": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
				t.Fatal(err)
			}
		}, resource.Azure(), "making the certificate authority"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			first := mustAuthority(t, dir, resource.Azure(), quiet)
			test.spoil(t, dir)
			var log bytes.Buffer
			second := mustAuthority(t, dir, test.cloud, slog.New(slog.NewTextHandler(&log, nil)))
			if bytes.Equal(first.PEM(), second.PEM()) {
				t.Error("the authority was not replaced")
			}
			if !strings.Contains(log.String(), test.says) {
				t.Errorf("log = %q, want it to say %q", log.String(), test.says)
			}
			name := strings.TrimPrefix(test.cloud.Suffixes()[0], ".")
			if _, err := mustLeaf(t, second, name).Verify(x509.VerifyOptions{Roots: second.Pool(), DNSName: name}); err != nil {
				t.Errorf("the new authority's certificate for %s: %v", name, err)
			}
		})
	}
}

func TestCertificatesAreRenewedInTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca := mustAuthority(t, dir, resource.Azure(), quiet)
		const name = "management.azure.com"
		valid := func() {
			t.Helper()
			if _, err := mustLeaf(t, ca, name).Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: name}); err != nil {
				t.Errorf("at %s: %v", time.Now(), err)
			}
		}
		first := mustLeaf(t, ca, name)
		if mustLeaf(t, ca, name) != first {
			t.Error("the second request made another certificate")
		}
		// Nine years of a service that never stops, asked now and then.
		for range 9 * 12 {
			time.Sleep(30 * 24 * time.Hour)
			valid()
		}
		if mustLeaf(t, ca, name).SerialNumber.Cmp(first.SerialNumber) == 0 {
			t.Error("the certificate was never renewed")
		}
		before := ca.PEM()
		time.Sleep(200 * 24 * time.Hour)
		ca = mustAuthority(t, dir, resource.Azure(), quiet)
		if bytes.Equal(before, ca.PEM()) {
			t.Error("an authority in its last year was kept at a start")
		}
		valid()
	})
}

func TestOpenSSLAcceptsTheChainStrictly(t *testing.T) {
	t.Parallel()
	openssl := mustTool(t, "openssl")
	dir := t.TempDir()
	ca := mustAuthority(t, dir, resource.Azure(), quiet)
	verify := func(der []byte, name string) (string, error) {
		file := filepath.Join(t.TempDir(), "leaf.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(openssl, "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-purpose", "sslserver", "-verify_hostname", name,
			"-CAfile", filepath.Join(dir, "ca.pem"), file).CombinedOutput()
		return string(out), err
	}
	for _, name := range []string{"management.azure.com", "v1.vault.azure.net", "a1.westeurope.batch.azure.com", "localhost"} {
		if out, err := verify(mustLeaf(t, ca, name).Raw, name); err != nil {
			t.Errorf("openssl on %s: %v\n%s", name, err, out)
		}
	}
	if out, err := verify(forge(t, dir, "example.com"), "example.com"); err == nil || !strings.Contains(out, "permitted subtree violation") {
		t.Errorf("openssl on a forged name: %v\n%s", err, out)
	}
}

// mustTool finds a program of the system. CI has it; elsewhere the test is left out.
func mustTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no %s, which CI must have", name)
		}
		t.Skipf("no %s here", name)
	}
	return path
}

func BenchmarkLeaf(b *testing.B) {
	ca, err := front.OpenAuthority(b.TempDir(), resource.Azure(), quiet)
	if err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		if _, err := ca.GetCertificate(&tls.ClientHelloInfo{ServerName: fmt.Sprintf("v%d.vault.azure.net", i)}); err != nil {
			b.Fatal(err)
		}
	}
}
