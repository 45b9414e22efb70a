package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"latchkey/resource"
)

// A Config says what a service is made of. `latchkey up` fills it from its flags.
type Config struct {
	// Data is the data directory. It must be set; it is made if it does not exist.
	Data string
	// Listen is the address of the HTTPS listener, Proxy that of the CONNECT proxy and
	// Portal that of the portal's plain listener; all on loopback. Port 0 takes a free
	// one.
	Listen, Proxy, Portal string
	// Cloud is the profile whose names the service answers for; the zero value means
	// resource.Azure().
	Cloud resource.Cloud
	// CheckInterval is how often the keyring asks a vault whether the owner still
	// agrees; zero means 10 s.
	CheckInterval time.Duration
	// OutageGrace is how long an account goes on working while its vault cannot be
	// reached; zero means 15 min.
	OutageGrace time.Duration
	// Logger receives the log; nil means slog.Default().
	Logger *slog.Logger
	// Version is what the service says of itself.
	Version string
}

// The defaults of a Config, which are those of the command line.
const (
	DefaultListen        = "127.0.0.1:8443"
	DefaultProxy         = "127.0.0.1:8442"
	DefaultPortal        = "127.0.0.1:8080"
	DefaultCheckInterval = 10 * time.Second
	DefaultOutageGrace   = 15 * time.Minute
)

// complete fills in what was left out and refuses what cannot be meant.
func (c *Config) complete() error {
	if c.Data == "" {
		return errors.New("no data directory is given")
	}
	for _, addr := range []struct {
		what, standard string
		value          *string
	}{
		{"listen", DefaultListen, &c.Listen},
		{"proxy", DefaultProxy, &c.Proxy},
		{"portal", DefaultPortal, &c.Portal},
	} {
		if *addr.value == "" {
			*addr.value = addr.standard
		}
		if err := CheckLoopback(*addr.value); err != nil {
			return fmt.Errorf("%s address: %w", addr.what, err)
		}
	}
	if c.Cloud.Management == "" {
		c.Cloud = resource.Azure()
	}
	if c.CheckInterval == 0 {
		c.CheckInterval = DefaultCheckInterval
	}
	if c.OutageGrace == 0 {
		c.OutageGrace = DefaultOutageGrace
	}
	if c.CheckInterval < 0 || c.OutageGrace < 0 {
		return errors.New("check interval and outage grace must not be negative")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// CheckLoopback refuses an address that other machines could reach. What listens
// here trusts its clients to be on this machine.
func CheckLoopback(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q has no valid port", addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not on this machine's loopback; use 127.0.0.1, [::1] or localhost", addr)
	}
	return nil
}

// ParseCloud reads the name of a cloud profile: "azure", or the domain of a cloud of
// one's own, which may carry a port.
func ParseCloud(name string) (resource.Cloud, error) {
	if resource.Equal(name, "azure") {
		return resource.Azure(), nil
	}
	domain := resource.Fold(name)
	host, port, withPort := strings.Cut(domain, ":")
	if withPort {
		if _, err := net.LookupPort("tcp", port); err != nil || port == "" || port[0] < '0' || port[0] > '9' {
			return resource.Cloud{}, fmt.Errorf("cloud %q: %q is not a port", name, port)
		}
	}
	if net.ParseIP(host) != nil {
		return resource.Cloud{}, fmt.Errorf("cloud %q is an address; a cloud needs a domain, because its vaults and accounts are names below it", name)
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return resource.Cloud{}, fmt.Errorf("cloud %q is neither azure nor a domain", name)
		}
	}
	// Suffix, region and account come before it: a longer domain would make names
	// that DNS does not allow.
	if len(host) > 150 {
		return resource.Cloud{}, fmt.Errorf("cloud %q is too long for a domain", name)
	}
	return resource.Own(domain), nil
}

// cloudName is what ParseCloud reads.
func cloudName(c resource.Cloud) string {
	if c.Name == resource.Azure().Name {
		return "azure"
	}
	return strings.TrimPrefix(c.Management, "management.")
}
