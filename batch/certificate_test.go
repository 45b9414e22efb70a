package batch_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"latchkey/batch"
	"latchkey/fault"
)

// newCertificate returns a certificate as PFX and CER, and its thumbprint.
func newCertificate(t *testing.T) (pfx, cer, thumbprint string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	raw := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "test"}}, &key.PublicKey, key))(t)
	leaf := must(x509.ParseCertificate(raw))(t)
	b := must(pkcs12.Modern.Encode(key, leaf, nil, "secret"))(t)
	sum := sha1.Sum(raw)
	return base64.StdEncoding.EncodeToString(b), base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(sum[:])
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pfx, cer, print := newCertificate(t)
	_, other, _ := newCertificate(t)
	for _, c := range []struct {
		name string
		in   batch.CertificateSpec
		want error
	}{
		{"wrong password", batch.CertificateSpec{Thumbprint: print, Algorithm: "sha1", Data: pfx, Password: "no"}, fault.InvalidCertificate},
		{"CER as PFX", batch.CertificateSpec{Thumbprint: print, Algorithm: "sha1", Data: cer}, fault.InvalidCertificate},
		{"another's thumbprint", batch.CertificateSpec{Thumbprint: print, Algorithm: "sha1", Data: other, Format: "cer"}, fault.InvalidCertificate},
		{"short thumbprint", batch.CertificateSpec{Thumbprint: "abcd", Algorithm: "sha1", Data: cer, Format: "cer"}, fault.InvalidPropertyValue},
		{"other algorithm", batch.CertificateSpec{Thumbprint: print, Algorithm: "md5", Data: cer, Format: "cer"}, fault.InvalidPropertyValue},
		{"no data", batch.CertificateSpec{Thumbprint: print, Algorithm: "sha1"}, fault.MissingRequiredProperty},
		{"not base64", batch.CertificateSpec{Thumbprint: print, Algorithm: "sha1", Data: "!"}, fault.InvalidPropertyValue},
		{"good", batch.CertificateSpec{Thumbprint: strings.ToUpper(print), Algorithm: "SHA1", Data: pfx, Password: "secret"}, nil},
		{"twice", batch.CertificateSpec{Thumbprint: print, Algorithm: "sha1", Data: cer, Format: "cer"}, fault.CertificateExists},
	} {
		if _, err := w.AddCertificate(w.ctx, w.who, w.acct, c.in); c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	got := must(w.Certificate(w.ctx, w.who, w.acct, print))(t)
	if got.PublicData != cer || got.State != "active" {
		t.Errorf("certificate = %+v, want its public part", got)
	}

	spec := pool("p", 0)
	spec.Certificates = []batch.CertificateReference{{Thumbprint: hex.EncodeToString(make([]byte, 20)), Algorithm: "sha1"}}
	if _, err := w.AddPool(w.ctx, w.who, w.acct, spec); !errors.Is(err, fault.InvalidCertificateReferences) {
		t.Errorf("a pool with a certificate that is not there: %v", err)
	}
	spec.Certificates[0].Thumbprint = print
	must(w.AddPool(w.ctx, w.who, w.acct, spec))(t)
	w.check(w.DeleteCertificate(w.ctx, w.who, w.acct, print))
	w.eventually("the deletion fails", func() bool {
		return must(w.Certificate(w.ctx, w.who, w.acct, print))(t).State == "deletefailed"
	})
	if got := must(w.Certificate(w.ctx, w.who, w.acct, print))(t); got.DeleteError == nil || got.DeleteError.Details[0].Value != "p" {
		t.Errorf("certificate = %+v, want the pool named", got)
	}
	w.check(w.CancelCertificateDelete(w.ctx, w.who, w.acct, print))
	if err := w.CancelCertificateDelete(w.ctx, w.who, w.acct, print); !errors.Is(err, fault.CertificateStateActive) {
		t.Errorf("cancelling twice: %v", err)
	}
	must(w.ChangePool(w.ctx, w.who, w.acct, "p", nil, func(p *batch.PoolSpec) error { p.Certificates = nil; return nil }))(t)
	w.check(w.DeleteCertificate(w.ctx, w.who, w.acct, print))
	w.eventually("the certificate is gone", func() bool {
		_, err := w.Certificate(w.ctx, w.who, w.acct, print)
		return errors.Is(err, fault.CertificateNotFound)
	})
}
