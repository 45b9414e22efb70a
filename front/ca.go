package front

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"latchkey/resource"
)

// How long certificates last. Programs that were started with the authority's
// certificate go on trusting it for as long as they run, so it is never replaced
// under them: only at a start, and then early enough that a service which runs for
// caSpare without a restart does not outlive it. Leaves cost nothing and are made
// anew long before they end.
const (
	caLife    = 10 * 365 * 24 * time.Hour
	caSpare   = 365 * 24 * time.Hour
	leafLife  = 90 * 24 * time.Hour
	leafSpare = 30 * 24 * time.Hour
	// clockSkew is how far behind a client's clock may be.
	clockSkew = time.Hour
	// maxLeaves bounds the memory that a client can fill by asking for names.
	maxLeaves = 1024
)

// An Authority is the local certificate authority. Its certificate is constrained to
// the names of one cloud profile and to this machine, so that whoever trusts it
// trusts it for nothing else. The private key never leaves its file.
type Authority struct {
	names names
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	// leafKey serves all leaves of this process and is never written down.
	leafKey *ecdsa.PrivateKey

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// OpenAuthority reads the authority kept in dir (ca.pem, ca.key), or makes one. One
// that is near its end, or was made for another cloud profile, is replaced, and the
// log says why: clients must then be given the new certificate.
func OpenAuthority(dir string, cloud resource.Cloud, log *slog.Logger) (*Authority, error) {
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key for certificates: %w", err)
	}
	a := &Authority{names: cloud.Suffixes(), leafKey: leafKey, leaves: map[string]*tls.Certificate{}}
	err = a.read(dir)
	if err == nil {
		return a, nil
	}
	var stale *staleError
	switch {
	case errors.As(err, &stale):
		log.Warn("making a new certificate authority; programs that hold the old certificate must be started again", "why", stale.why)
	case errors.Is(err, fs.ErrNotExist):
		log.Info("making the certificate authority")
	default:
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	if err := a.generate(dir); err != nil {
		return nil, fmt.Errorf("making the certificate authority: %w", err)
	}
	return a, nil
}

// A staleError says why an authority that could be read must not be used any longer.
type staleError struct{ why string }

func (e *staleError) Error() string { return e.why }

func (a *Authority) read(dir string) error {
	certPEM, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return err
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		return err
	}
	// X509KeyPair also finds out whether the two belong together; they do not if a
	// crash came between writing the one and the other.
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return &staleError{"its files do not belong together or cannot be parsed"}
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return &staleError{"its key is not an ECDSA key"}
	}
	a.cert, a.key = pair.Leaf, key
	switch {
	case time.Now().After(a.cert.NotAfter):
		return &staleError{"it expired on " + a.cert.NotAfter.Format(time.DateOnly)}
	case time.Now().After(a.cert.NotAfter.Add(-caSpare)):
		return &staleError{"it expires on " + a.cert.NotAfter.Format(time.DateOnly)}
	case !slices.Equal(a.cert.PermittedDNSDomains, a.domains()):
		return &staleError{"it was made for the names of another cloud"}
	}
	return nil
}

func (a *Authority) generate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial := newSerial()
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		// Authorities must not share a name: a client that holds an old one beside
		// this one would pick either.
		Subject:               pkix.Name{Organization: []string{"Latchkey"}, CommonName: "Latchkey local authority " + hex.EncodeToString(serial.Bytes()[:4])},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         a.domains(),
		PermittedIPRanges: []*net.IPNet{
			{IP: net.IPv4(127, 0, 0, 1).To4(), Mask: net.CIDRMask(32, 32)},
			{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	a.key = key
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := Replace(filepath.Join(dir, "ca.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600); err != nil {
		return err
	}
	return Replace(filepath.Join(dir, "ca.pem"), a.PEM(), 0o600)
}

// domains are the DNS constraints: what RFC 5280 writes without a leading dot covers
// the name and all below it.
func (a *Authority) domains() []string {
	domains := []string{"localhost"}
	for _, name := range a.names {
		domains = append(domains, strings.TrimPrefix(name, "."))
	}
	slices.Sort(domains)
	return slices.Compact(domains)
}

// PEM returns the authority's certificate, for those who are to trust it.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Pool returns the set of roots that has this authority only.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// GetCertificate returns the certificate for the name that the client asks for; a
// client that names none gets the one for this machine. Names that are not ours are
// refused.
func (a *Authority) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := hostOf(hello.ServerName)
	if host == "" {
		host = "localhost"
	}
	if host != "localhost" && (!a.names.own(host) || !isDNSName(host)) {
		return nil, fmt.Errorf("no certificate for %q: not a name of this service", host)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if leaf := a.leaves[host]; leaf != nil && time.Now().Before(leaf.Leaf.NotAfter.Add(-leafSpare)) {
		return leaf, nil
	}
	leaf, err := a.issue(host)
	if err != nil {
		return nil, fmt.Errorf("making the certificate for %s: %w", host, err)
	}
	if len(a.leaves) >= maxLeaves {
		// Any one will do: a leaf is made again in well under a millisecond.
		for name := range a.leaves {
			delete(a.leaves, name)
			break
		}
	}
	a.leaves[host] = leaf
	return leaf, nil
}

func (a *Authority) issue(host string) (*tls.Certificate, error) {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{Organization: []string{"Latchkey"}},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(leafLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{host},
	}
	if template.NotBefore.Before(a.cert.NotBefore) {
		template.NotBefore = a.cert.NotBefore
	}
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	if host == "localhost" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.leafKey.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: a.leafKey, Leaf: leaf}, nil
}

// newSerial returns 16 random bytes, positive and of full length.
func newSerial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}
