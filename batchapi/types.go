package batchapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"latchkey/batch"
	"latchkey/rest"
)

// A timestamp travels as 2026-11-23T21:30:00.1234567Z. Fields of this type are left
// out when zero.
type timestamp time.Time

// MarshalJSON implements json.Marshaler.
func (t timestamp) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(t).UTC().Format("2006-01-02T15:04:05.0000000Z"))
}

// IsZero makes omitzero work.
func (t timestamp) IsZero() bool { return time.Time(t).IsZero() }

// eTag writes a version as bodies have it, without quotes.
func eTag(version uint64) string { return strings.Trim(rest.ETag(version), `"`) }

func lastModified(version uint64) timestamp { return timestamp(time.Unix(0, int64(version))) }

// unbuilt holds a property that this service refuses if it says anything.
type unbuilt = json.RawMessage

// says reports whether a property was given a value that means something.
func says(v unbuilt) bool {
	switch string(v) {
	case "", "null", "[]", "{}", "false":
		return false
	}
	return true
}

// A refusal is a property that is refused, and what to do instead.
type refusal struct {
	name    string
	value   unbuilt
	instead string
}

func refuse(refusals ...refusal) error {
	for _, r := range refusals {
		if says(r.value) {
			return batch.Unbuilt(r.name, r.instead)
		}
	}
	return nil
}

type nameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func pairs(in []nameValue) []batch.Pair {
	var out []batch.Pair
	for _, p := range in {
		out = append(out, batch.Pair(p))
	}
	return out
}

func pairsOut(in []batch.Pair) []nameValue {
	var out []nameValue
	for _, p := range in {
		out = append(out, nameValue(p))
	}
	return out
}

func environment(in []nameValue) []batch.EnvVar {
	var out []batch.EnvVar
	for _, p := range in {
		out = append(out, batch.EnvVar(p))
	}
	return out
}

func environmentOut(in []batch.EnvVar) []nameValue {
	var out []nameValue
	for _, p := range in {
		out = append(out, nameValue(p))
	}
	return out
}

type resourceFile struct {
	HTTPURL   string `json:"httpUrl,omitempty"`
	FilePath  string `json:"filePath,omitempty"`
	FileMode  string `json:"fileMode,omitempty"`
	Container string `json:"storageContainerUrl,omitempty"`
	AutoStore string `json:"autoStorageContainerName,omitempty"`
	Prefix    string `json:"blobPrefix,omitempty"`
	// BlobSource is what the oldest clients say for httpUrl.
	BlobSource string  `json:"blobSource,omitempty"`
	Identity   unbuilt `json:"identityReference,omitempty"`
}

func resourceFiles(at string, in []resourceFile) ([]batch.ResourceFile, error) {
	var out []batch.ResourceFile
	for i, f := range in {
		at := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case f.Container != "":
			return nil, batch.Unbuilt(at+".storageContainerUrl", "use httpUrl")
		case f.AutoStore != "":
			return nil, batch.Unbuilt(at+".autoStorageContainerName", "use httpUrl")
		case f.Prefix != "":
			return nil, batch.Unbuilt(at+".blobPrefix", "use httpUrl")
		case says(f.Identity):
			return nil, batch.Unbuilt(at+".identityReference", "use a URL that needs no identity")
		}
		if f.HTTPURL == "" {
			f.HTTPURL = f.BlobSource
		}
		out = append(out, batch.ResourceFile{URL: f.HTTPURL, Path: f.FilePath, Mode: f.FileMode})
	}
	return out, nil
}

func resourceFilesOut(in []batch.ResourceFile) []resourceFile {
	var out []resourceFile
	for _, f := range in {
		out = append(out, resourceFile{HTTPURL: f.URL, FilePath: f.Path, FileMode: f.Mode})
	}
	return out
}

type userIdentity struct {
	Username string    `json:"username,omitempty"`
	AutoUser *autoUser `json:"autoUser,omitempty"`
}

type autoUser struct {
	Scope     string `json:"scope,omitempty"`
	Elevation string `json:"elevationLevel,omitempty"`
}

func (u *userIdentity) in() *batch.UserIdentity {
	if u == nil {
		return nil
	}
	out := &batch.UserIdentity{Username: u.Username}
	if u.AutoUser != nil {
		out.Scope, out.Elevation = strings.ToLower(u.AutoUser.Scope), strings.ToLower(u.AutoUser.Elevation)
	}
	return out
}

func userOut(u *batch.UserIdentity) *userIdentity {
	if u == nil {
		return nil
	}
	out := &userIdentity{Username: u.Username}
	if u.Scope != "" || u.Elevation != "" {
		out.AutoUser = &autoUser{u.Scope, u.Elevation}
	}
	return out
}

type failureInfo struct {
	Category string      `json:"category"`
	Code     string      `json:"code,omitempty"`
	Message  string      `json:"message,omitempty"`
	Details  []nameValue `json:"details,omitempty"`
}

func failureOut(f *batch.Failure) *failureInfo {
	if f == nil {
		return nil
	}
	out := &failureInfo{Category: "servererror", Code: f.Code, Message: f.Message, Details: pairsOut(f.Details)}
	if f.User {
		out.Category = "usererror"
	}
	return out
}

// number returns n or what stands for a number that was not given.
func number(n *rest.Int, absent int) int {
	if n == nil {
		return absent
	}
	return int(*n)
}

func duration(d *rest.Duration, absent time.Duration) time.Duration {
	if d == nil {
		return absent
	}
	return time.Duration(*d)
}

// whole refuses numbers that do not fit the 32 bits that the protocol has for them.
func whole(name string, n *rest.Int) error {
	if n != nil && (*n > 1<<31-1 || *n < -1<<31) {
		return batch.BadProperty(name, fmt.Sprint(int64(*n)), "it must fit into 32 bits")
	}
	return nil
}
