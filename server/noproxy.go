package server

import (
	"slices"
	"strings"

	"latchkey/resource"
)

// keepNoProxy returns what may stay of a NO_PROXY list: every entry but those that
// would lead a client past the proxy for a name of the cloud. Clients read the list
// differently: some take an entry as the end of a name at any letter, some want the
// dot, some know * and some do not; an entry goes if any of them could match it.
func keepNoProxy(list string, cloud resource.Cloud) string {
	kept := []string{}
	for entry := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if !bypasses(entry, cloud.Suffixes()) {
			kept = append(kept, entry)
		}
	}
	// The identity endpoint and the portal are plain HTTP on loopback: a proxy that
	// the user has for other things must not see them.
	for _, loopback := range []string{"127.0.0.1", "::1", "localhost"} {
		if !bypasses(loopback, cloud.Suffixes()) && !slices.Contains(kept, loopback) {
			kept = append(kept, loopback)
		}
	}
	return strings.Join(kept, ",")
}

func bypasses(entry string, suffixes []string) bool {
	pattern := resource.Fold(strings.TrimSuffix(entry, "."))
	// Nobody has a port in a pattern but to name one more exactly.
	if i := strings.LastIndexByte(pattern, ':'); i >= 0 && strings.Count(pattern, ":") == 1 {
		pattern = pattern[:i]
	}
	pattern = strings.TrimLeft(pattern, "*.")
	// What is left of "*" is everything, and a star further in could be anything.
	if pattern == "" || strings.Contains(pattern, "*") {
		return true
	}
	return slices.ContainsFunc(suffixes, func(name string) bool {
		return strings.HasSuffix(name, pattern) || name[0] == '.' && strings.HasSuffix(pattern, name)
	})
}
