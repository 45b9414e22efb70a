package batchapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/resource"
)

// checkShared checks the signature of a request that was made with one of the
// account's keys: SharedKey ACCOUNT:BASE64(HMAC-SHA256(key, string to sign)).
func checkShared(r *http.Request, acct Account, value string) error {
	refused := func(detail string) error {
		return fault.BatchAuthenticationFailed.New("").With("AuthenticationErrorDetail", detail)
	}
	name, signature, ok := strings.Cut(value, ":")
	if !ok {
		return fault.InvalidAuthenticationInfo.New("")
	}
	if !resource.Equal(name, acct.Name) {
		return refused("The account in the Authorization header is not the one that the request is for.")
	}
	mac, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return refused("The signature is not base64.")
	}
	date := r.Header.Get("Ocp-Date")
	if date == "" {
		date = r.Header.Get("Date")
	}
	at, err := http.ParseTime(date)
	if err != nil {
		return refused("The request needs a date in its ocp-date or Date header.")
	}
	if off := time.Since(at); off > skew || off < -skew {
		return refused("The Date header in the request is incorrect: the clock is more than 15 minutes off.")
	}
	// All candidates are compared, so that time tells nothing about which one fits.
	fits := false
	for _, text := range textsToSign(r, name) {
		for _, key := range acct.Keys {
			secret, err := base64.StdEncoding.DecodeString(key)
			if err != nil || len(secret) == 0 {
				continue
			}
			h := hmac.New(sha256.New, secret)
			h.Write([]byte(text))
			if hmac.Equal(h.Sum(nil), mac) {
				fits = true
			}
		}
	}
	if !fits {
		return refused("The MAC signature found in the HTTP request is not the same as any computed signature. Server used following string to sign: '" +
			strings.ReplaceAll(textsToSign(r, name)[0], "\n", "\\n") + "'.")
	}
	return nil
}

// textsToSign returns what a client may have signed. Clients differ in two points: an
// empty body is "0" or nothing, and the path is as it was sent or decoded.
func textsToSign(r *http.Request, name string) []string {
	lengths := []string{strconv.FormatInt(r.ContentLength, 10)}
	if r.ContentLength <= 0 {
		lengths = []string{"", "0"}
	}
	sent, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(sent, "/") {
		sent = r.URL.EscapedPath()
	}
	paths := []string{sent}
	if r.URL.Path != sent {
		paths = append(paths, r.URL.Path)
	}
	var texts []string
	for _, length := range lengths {
		for _, path := range paths {
			texts = append(texts, textToSign(r, length, "/"+name+path))
		}
	}
	return texts
}

func textToSign(r *http.Request, length, path string) string {
	lines := []string{r.Method}
	for _, h := range []string{
		"Content-Encoding", "Content-Language", "Content-Length", "Content-Md5", "Content-Type", "Date",
		"If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range",
	} {
		if h == "Content-Length" {
			lines = append(lines, length)
			continue
		}
		lines = append(lines, r.Header.Get(h))
	}
	var ocp []string
	for h, values := range r.Header {
		if h := strings.ToLower(h); strings.HasPrefix(h, "ocp-") {
			ocp = append(ocp, h+":"+strings.TrimSpace(strings.Join(values, ",")))
		}
	}
	slices.Sort(ocp)
	lines = append(lines, ocp...)
	lines = append(lines, path)
	query, _ := url.ParseQuery(r.URL.RawQuery)
	byName := map[string][]string{}
	for name, values := range query {
		byName[strings.ToLower(name)] = append(byName[strings.ToLower(name)], values...)
	}
	var names []string
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lines = append(lines, name+":"+strings.Join(byName[name], ","))
	}
	return strings.Join(lines, "\n")
}
