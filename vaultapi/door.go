// Package vaultapi is the door of Key Vault's data plane: keys, and what is done with
// them, under a host name per vault.
//
// A client comes without a token first and without its body, reads from the challenge
// where to get one, and comes again. So the challenge is given before anything is
// looked at: neither body nor path nor vault. The vault's name comes from the host
// name; everything else is decided by the service.
package vaultapi

import (
	"log/slog"
	"net"
	"net/http"
	"regexp"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/vault"
)

// Config is what the door leads to. Every field must be set.
type Config struct {
	Vaults    *vault.Service
	Directory *identity.Directory
	Cloud     resource.Cloud
	Log       *slog.Logger
}

// A Door answers the calls of Key Vault's clients.
type Door struct {
	Config
	door      *rest.Door
	audiences []string
}

// serviceVersion is told in a header, as Key Vault tells its own.
const serviceVersion = "1.9.2025.1"

// maxBody has room for the backup of a key with as many versions as a backup may have.
const maxBody = 8 << 20

// New returns the door.
func New(c Config) http.Handler {
	d := &Door{Config: c, audiences: []string{"https://" + c.Cloud.Vault}}
	if azure := "https://" + resource.Azure().Vault; azure != d.audiences[0] {
		// Clients that never heard of this cloud ask for tokens by the public name.
		d.audiences = append(d.audiences, azure)
	}
	d.door = rest.NewDoor(rest.Config{
		Style: rest.Vault, Authenticate: d.authenticate, Check: check, Failed: d.challenge, MaxBody: maxBody, Log: c.Log,
	})
	d.keyRoutes()
	d.deletedRoutes()
	d.otherRoutes()
	return d
}

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// Key Vault returns the client's id whether asked to or not.
	if id := r.Header.Get("x-ms-client-request-id"); id != "" && len(id) <= 128 {
		h.Set("x-ms-client-request-id", id)
	}
	h.Set("x-ms-keyvault-service-version", serviceVersion)
	h.Set("Strict-Transport-Security", "max-age=31536000;includeSubDomains")
	h.Set("Pragma", "no-cache")
	d.door.ServeHTTP(w, r)
}

// Routes lists the patterns of the door.
func (d *Door) Routes() []string { return d.door.Routes() }

// handle adds a route; every answer says where the vault is.
func (d *Door) handle(pattern string, h rest.Handler) {
	d.door.Handle(pattern, func(r *http.Request, who identity.Caller) (rest.Reply, error) {
		reply, err := h(r, who)
		if err == nil {
			if region := d.Vaults.Region(r.Context(), d.vault(r)); region != "" {
				reply = reply.With("x-ms-keyvault-region", region)
			}
		}
		return reply, err
	})
}

// vault returns the name of the vault that a request is for; empty if the host name
// is not a vault's.
func (d *Door) vault(r *http.Request) string {
	if door, name, _ := d.Cloud.Route(r.Host); door == resource.VaultDoor {
		return name
	}
	return ""
}

// ref names the key of a request.
func (d *Door) ref(r *http.Request) vault.Ref {
	return vault.Ref{Vault: d.vault(r), Key: r.PathValue("key"), Version: r.PathValue("version")}
}

// versions are the api-versions that this door has a shape for: 7.x with previews,
// and the dated ones that followed it.
var versions = regexp.MustCompile(`^(7\.[0-6](-preview(\.\d{1,2})?)?|20(2[5-9]|[3-9]\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(-preview(\.\d{1,2})?)?)$`)

// check refuses a request for its api-version.
func check(r *http.Request) error {
	switch version := rest.Query(r, "api-version"); {
	case version == "":
		return fault.BadParameter.New("api-version must be specified")
	case !versions.MatchString(version):
		return fault.BadParameter.New("The specified version (%s) is not recognized. Consider using the latest supported version (2025-07-01).", version)
	}
	return nil
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
