package rest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"latchkey/fault"
)

// ETag writes a record's version as an entity tag, RFC 9110 section 8.8.3.
func ETag(version uint64) string { return fmt.Sprintf(`"0x%X"`, version) }

// Conditions holds a request's conditional headers against what there is: RFC 9110
// section 13. An empty etag means that there is nothing. It fails with
// fault.PreconditionFailed, or with fault.NotModified for a GET or HEAD that asked
// for news.
func Conditions(r *http.Request, etag string, modified time.Time) error {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	modified = modified.Truncate(time.Second)
	if want := r.Header.Get("If-Match"); want != "" {
		if !listed(want, etag) {
			return fault.PreconditionFailed.New("")
		}
	} else if since, err := http.ParseTime(r.Header.Get("If-Unmodified-Since")); err == nil && modified.After(since) {
		return fault.PreconditionFailed.New("")
	}
	if want := r.Header.Get("If-None-Match"); want != "" {
		if listed(want, etag) {
			if read {
				return fault.NotModified.New("")
			}
			return fault.PreconditionFailed.New("")
		}
	} else if since, err := http.ParseTime(r.Header.Get("If-Modified-Since")); err == nil && !modified.After(since) {
		if read {
			return fault.NotModified.New("")
		}
		return fault.PreconditionFailed.New("")
	}
	return nil
}

// listed reports whether an entity tag is in the list of a conditional header. Tags
// without quotes are accepted, because clients send them so.
func listed(list, etag string) bool {
	if etag == "" {
		return false
	}
	bare := func(s string) string {
		return strings.Trim(strings.TrimPrefix(strings.TrimSpace(s), "W/"), `"`)
	}
	for item := range strings.SplitSeq(list, ",") {
		if item = bare(item); item == "*" || item == bare(etag) {
			return true
		}
	}
	return false
}
