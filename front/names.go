package front

import (
	"net"
	"strings"

	"latchkey/resource"
)

// names are the host names for which this service answers: exact hosts, and families
// with a leading dot. A name of a family is ours even if it leads to no door: asking
// the real cloud about a vault that we do not have would be worse than saying so.
type names []string

// own reports whether a bare host name, in lower case, is one of ours.
func (n names) own(host string) bool {
	for _, name := range n {
		if host == name || strings.HasPrefix(name, ".") && len(host) > len(name) && strings.HasSuffix(host, name) {
			return true
		}
	}
	return false
}

// hostOf returns the host of host[:port], folded, without brackets and trailing dot.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return resource.Fold(strings.TrimSuffix(host, "."))
}

// isLoopback reports whether a bare host is this machine by its fixed names.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// isDNSName reports whether a certificate may be made out to host.
func isDNSName(host string) bool {
	if len(host) == 0 || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
