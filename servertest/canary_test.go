package servertest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"software.sslmate.com/src/go-pkcs12"
)

// Whatever a customer writes is nowhere in the data directory outside the nodes'
// disks: not in the store, not in its log, not in the service's log, in no encoding.
func TestWhatACustomerWritesIsNowhereOnDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		customer bool
	}{{"platform key", false}, {"customer key", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.customer {
				w.useKey(w.makeVault())
			}
			canaries := w.sing()
			w.hunt(canaries)
			// What is flushed and rewritten when a service stops is looked at too.
			w.Stop()
			w.hunt(canaries)
		})
	}
}

// sing writes canaries wherever a customer can write, and returns them.
func (w *world) sing() map[string][]byte {
	w.t.Helper()
	canaries := map[string][]byte{}
	word := func(what string) string {
		b := make([]byte, 9)
		rand.Read(b)
		s := "canary" + hex.EncodeToString(b)
		canaries[what] = []byte(s)
		return s
	}
	pool, job, task := word("pool id"), word("job id"), word("task id")
	w.batch(http.MethodPost, "/certificates", w.certificate(canaries), nil)
	w.batch(http.MethodPost, "/pools", object{
		"id": pool, "displayName": word("pool display name"), "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 1,
		"virtualMachineConfiguration": object{
			"imageReference": object{"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
			"nodeAgentSKUId": "batch.node.ubuntu 24.04",
		},
		"metadata":     []object{{"name": word("metadata name"), "value": word("metadata value")}},
		"userAccounts": []object{{"name": word("user name"), "password": word("user password")}},
		"startTask": object{
			"commandLine":         "/bin/sh -c 'true " + word("start task command line") + "'",
			"environmentSettings": []object{{"name": word("start task variable"), "value": word("start task value")}},
			"waitForSuccess":      true,
		},
	}, nil)
	w.batch(http.MethodPost, "/jobs", object{
		"id": job, "displayName": word("job display name"), "poolInfo": object{"poolId": pool},
		"commonEnvironmentSettings": []object{{"name": word("job variable"), "value": word("job value")}},
		"metadata":                  []object{{"name": word("job metadata name"), "value": word("job metadata value")}},
	}, nil)
	file, output := word("file name"), word("output")
	w.batch(http.MethodPost, "/jobs/"+job+"/tasks", object{
		"id": task, "displayName": word("task display name"),
		"commandLine":         "/bin/sh -c 'echo " + output + " | tee " + file + "; exit 3 # " + word("task command line") + "'",
		"environmentSettings": []object{{"name": word("task variable"), "value": word("task value")}},
	}, nil)
	lost := word("program that is not there")
	w.batch(http.MethodPost, "/jobs/"+job+"/tasks", object{"id": word("second task id"), "commandLine": "/nowhere/" + lost}, nil)
	w.eventually("tasks complete", func() bool { return w.counts(job).Completed == 2 })
	w.batch(http.MethodGet, "/jobs/"+job+"/tasks/"+task+"/files?recursive=true&$filter=name%20eq%20'x'", nil, nil)
	w.batch(http.MethodGet, "/jobs/"+job+"/tasks?$filter=startswith(id,'"+word("filter")+"')", nil, nil)
	w.batch(http.MethodHead, "/jobs/"+job+"/tasks/"+task+"/files/wd%2F"+file, nil, nil)
	// Mistakes are not written down either.
	w.fails("JobNotFound", http.MethodGet, w.data+"/jobs/"+word("wrong job id")+"?"+dataVersion, nil)
	w.fails("InvalidRequestBody", http.MethodPost, w.data+"/jobs?"+dataVersion, []byte(`{"id": "`+word("broken body")+`", `))
	var keys struct{ Primary, Secondary string }
	w.must(http.MethodPost, management+w.account+"/listKeys?"+batchVersion, nil, &keys)
	for what, key := range map[string]string{"primary account key": keys.Primary, "secondary account key": keys.Secondary} {
		raw, err := base64.StdEncoding.DecodeString(key)
		if err != nil || len(raw) < 32 {
			w.t.Fatalf("the %s is not 32 bytes or more of base64: %v", what, err)
		}
		canaries[what] = raw
	}
	w.must(http.MethodPatch, management+w.account+"?"+batchVersion, object{"tags": object{word("tag name"): word("tag value")}}, nil)
	return canaries
}

// certificate makes a PFX with canaries in it and returns the body that adds it.
func (w *world) certificate(canaries map[string][]byte) object {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "canary-subject-" + rand.Text()},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		w.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	password := "canary-password-" + rand.Text()
	pfx, err := pkcs12.Modern.Encode(key, cert, nil, password)
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := key.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	thumb := sha1.Sum(der)
	canaries["certificate password"] = []byte(password)
	canaries["certificate subject"] = []byte(template.Subject.CommonName)
	canaries["certificate bytes"] = der[len(der)/3 : len(der)/3+40]
	canaries["pfx bytes"] = pfx[len(pfx)/2 : len(pfx)/2+40]
	canaries["private key of a certificate"] = d
	canaries["certificate thumbprint"] = thumb[:]
	return object{
		"thumbprint": hex.EncodeToString(thumb[:]), "thumbprintAlgorithm": "sha1", "certificateFormat": "pfx",
		"data": base64.StdEncoding.EncodeToString(pfx), "password": password,
	}
}

// hunt searches the data directory and the log for canaries in every encoding.
func (w *world) hunt(canaries map[string][]byte) {
	w.t.Helper()
	type form struct {
		what string
		b    []byte
	}
	var forms []form
	for what, c := range canaries {
		for how, b := range encodings(c) {
			forms = append(forms, form{what + " " + how, b})
		}
	}
	look := func(path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			return // the engine deletes files while we look
		}
		folded := bytes.ToLower(b)
		for _, f := range forms {
			if bytes.Contains(b, f.b) || bytes.Contains(folded, bytes.ToLower(f.b)) {
				w.t.Errorf("%s: found the %s", path, f.what)
			}
		}
	}
	files := 0
	err := filepath.WalkDir(w.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		for _, f := range forms {
			if path != w.Data && strings.Contains(strings.ToLower(d.Name()), strings.ToLower(string(f.b))) &&
				!strings.HasPrefix(path, filepath.Join(w.Data, "nodes")) {
				w.t.Errorf("%s: its name has the %s", path, f.what)
			}
		}
		if d.IsDir() {
			if path == filepath.Join(w.Data, "nodes") {
				return filepath.SkipDir
			}
			return nil
		}
		files++
		look(path)
		return nil
	})
	if err != nil || files < 5 {
		w.t.Fatalf("looked at %d files of the data directory: %v", files, err)
	}
	look(w.Log)
}

// encodings returns the forms in which bytes could have been written down.
func encodings(c []byte) map[string][]byte {
	forms := map[string][]byte{
		"as it is": c,
		"in hex":   []byte(hex.EncodeToString(c)),
	}
	// Base64 of a longer text depends on where in it the canary begins.
	for shift := range 3 {
		padded := append(make([]byte, shift), c...)
		whole := base64.RawStdEncoding.EncodeToString(padded[:len(padded)/3*3])
		inner := whole[(shift*8+5)/6:]
		forms["in base64, shifted by "+string(rune('0'+shift))] = []byte(inner)
		forms["in base64url, shifted by "+string(rune('0'+shift))] = []byte(strings.NewReplacer("+", "-", "/", "_").Replace(inner))
	}
	var little, big []byte
	for _, u := range utf16.Encode([]rune(string(c))) {
		little = append(little, byte(u), byte(u>>8))
		big = append(big, byte(u>>8), byte(u))
	}
	forms["in UTF-16LE"], forms["in UTF-16BE"] = little, big
	return forms
}

// The search above would be worth nothing if it could not find.
func TestTheHuntFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	secret := []byte("canary0123456789abcdef")
	text := "some text before " + string(secret) + " and after"
	for _, written := range []string{
		text,
		hex.EncodeToString([]byte(text)),
		base64.StdEncoding.EncodeToString([]byte(text)),
		base64.StdEncoding.EncodeToString([]byte("x" + text)),
		base64.StdEncoding.EncodeToString([]byte("xy" + text)),
		base64.URLEncoding.EncodeToString([]byte(text)),
	} {
		found := false
		for _, form := range encodings(secret) {
			found = found || strings.Contains(written, string(form))
		}
		if !found {
			t.Errorf("not found in %q", written)
		}
	}
}
