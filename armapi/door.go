// Package armapi is the door of Resource Manager: subscriptions, groups, and the
// resources in them, as az, Terraform and the SDKs ask for them.
//
// One file per noun. Each has a routes method that enters its patterns with handle,
// its handlers, and the structs that travel beside them:
//
//	func (d *Door) vaultRoutes() {
//		d.handle("PUT "+inGroup+"/providers/Microsoft.KeyVault/vaults/{vault}", d.putVault)
//	}
//
// What is true of every call is done here, before a handler runs: the token, the
// api-version, that the subscription {sub} is ours and that the group {group} is
// there. Handlers translate; the services decide and ask who may.
//
// A call that takes a while becomes a subscription.Operation; accepted answers it and
// operation.go answers the polls.
package armapi

import (
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"latchkey/account"
	"latchkey/batch"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/subscription"
	"latchkey/vault"
)

// Config is what the door leads to. Every field must be set.
type Config struct {
	Accounts      *account.Service
	Vaults        *vault.Service
	Batch         *batch.Service
	Directory     *identity.Directory
	Subscriptions *subscription.Service
	Cloud         resource.Cloud
	Log           *slog.Logger
}

// A Door answers Resource Manager's calls.
type Door struct {
	Config
	door *rest.Door
	// shows render a resource by its full type, folded; see show.
	shows map[string]showFunc
}

// inSubscription and inGroup begin the patterns of most routes.
const (
	inSubscription = "/subscriptions/{sub}"
	inGroup        = "/subscriptions/{sub}/resourceGroups/{group}"
)

// New returns the door.
func New(c Config) http.Handler {
	d := &Door{Config: c, shows: map[string]showFunc{}}
	d.door = rest.NewDoor(rest.Config{
		Style: rest.ARM, Authenticate: d.authenticate, Check: d.check, Unknown: d.unknown, Failed: d.failed, Log: c.Log,
	})
	d.metadataRoutes()
	d.subscriptionRoutes()
	d.providerRoutes()
	d.groupRoutes()
	d.resourceRoutes()
	d.identityRoutes()
	d.roleRoutes()
	d.operationRoutes()
	d.vaultRoutes()
	d.accountRoutes()
	d.poolRoutes()
	d.certificateRoutes()
	return d.door
}

// handle adds a route for callers that the door knows. The pattern's {sub} and
// {group} name a subscription and a group that exist when h runs, and for PUT the
// group takes resources and the subscription uses the namespace that the pattern
// names.
func (d *Door) handle(pattern string, h rest.Handler) {
	method, path, _ := strings.Cut(pattern, " ")
	hasSubscription := strings.Contains(path, "{sub}")
	hasGroup := strings.HasPrefix(path, inGroup+"/")
	namespace := ""
	if _, behind, ok := strings.Cut(path, "/providers/"); ok && method == http.MethodPut {
		if first, _, _ := strings.Cut(behind, "/"); !strings.Contains(first, "{") {
			namespace = first
		}
	}
	d.door.Handle(pattern, func(r *http.Request, who identity.Caller) (rest.Reply, error) {
		if hasSubscription {
			if _, err := d.Subscriptions.Subscription(r.Context(), r.PathValue("sub")); err != nil {
				return rest.Reply{}, err
			}
		}
		if hasGroup {
			if err := d.group(r, who); err != nil {
				return rest.Reply{}, err
			}
		}
		if hasSubscription && namespace != "" {
			if err := d.Subscriptions.RequireProvider(r.Context(), r.PathValue("sub"), namespace); err != nil {
				return rest.Reply{}, err
			}
		}
		reply, err := h(r, who)
		if err != nil {
			return rest.Reply{}, err
		}
		return d.accounted(reply, method, hasSubscription), nil
	})
}

// group fails unless the group of a request is there, and for PUT takes resources. A
// caller who may not read groups does not learn which there are.
func (d *Door) group(r *http.Request, who identity.Caller) error {
	sub, name := r.PathValue("sub"), r.PathValue("group")
	g, err := d.Subscriptions.Group(r.Context(), sub, name)
	if errors.Is(err, fault.GroupNotFound) {
		if _, denied := d.Subscriptions.ReadGroup(r.Context(), who, sub, name); denied != nil {
			return denied
		}
	}
	if err != nil {
		return err
	}
	if g.Deleting && r.Method == http.MethodPut {
		return fault.GroupBeingDeleted.New("The resource group '%s' is in deprovisioning state and cannot perform this operation.", g.Name)
	}
	return nil
}

// What Azure lets a client do in an hour. We take nothing off, so what remains is
// always all.
const (
	readsPerHour   = "11999"
	writesPerHour  = "1199"
	deletesPerHour = "14999"
)

// accounted adds the headers of throttling and routing that clients log.
func (d *Door) accounted(reply rest.Reply, method string, inSubscription bool) rest.Reply {
	kind := "tenant"
	if inSubscription {
		kind = "subscription"
	}
	switch method {
	case http.MethodGet, http.MethodHead:
		reply = reply.With("x-ms-ratelimit-remaining-"+kind+"-reads", readsPerHour)
	case http.MethodDelete:
		reply = reply.With("x-ms-ratelimit-remaining-"+kind+"-deletes", deletesPerHour)
	default:
		reply = reply.With("x-ms-ratelimit-remaining-"+kind+"-writes", writesPerHour)
	}
	return reply.With("x-ms-routing-request-id", "LATCHKEY:"+time.Now().UTC().Format("20060102T150405Z")+":"+resource.NewGUID())
}

// authenticate finds out who calls.
func (d *Door) authenticate(r *http.Request) (identity.Caller, error) {
	who, err := d.Directory.Authenticate(r.Context(), r.Header.Get("Authorization"), d.Cloud.ManagementAudiences)
	who.Address, who.Correlation = r.RemoteAddr, r.Header.Get("x-ms-client-request-id")
	return who, err
}

// failed challenges a caller who is not known.
func (d *Door) failed(h http.Header, r *http.Request, f *fault.Fault) {
	if f.Code.Status != http.StatusUnauthorized {
		return
	}
	// Asked again for the reason: a token that an earlier life of this service signed
	// is answered so that the client throws it away.
	_, err := d.Directory.Authenticate(r.Context(), r.Header.Get("Authorization"), d.Cloud.ManagementAudiences)
	challenge := identity.Challenge(err, d.Cloud.Login, d.Directory.Tenant())
	if challenge == "" {
		challenge = `Bearer authorization_uri="https://` + d.Cloud.Login + "/" + d.Directory.Tenant() +
			`", error="invalid_token", error_description="` + strings.NewReplacer(`"`, `'`, `\`, "/").Replace(f.Message) + `"`
	}
	h.Set("WWW-Authenticate", challenge)
}

// versionForm is what an api-version looks like. Clients of several years meet here
// with versions that the documents do not list, so every well-formed one is taken.
var versionForm = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})(-(preview|alpha|beta|privatepreview))?(\.\d+)?$`)

// The first api-version of Resource Manager; none is dated long ahead.
var firstVersion = time.Date(2014, 4, 1, 0, 0, 0, 0, time.UTC)

const versionAhead = 366 * 24 * time.Hour

// check refuses a request without an api-version.
func (d *Door) check(r *http.Request) error {
	version := rest.Query(r, "api-version")
	if version == "" {
		return fault.MissingAPIVersion.New("")
	}
	m := versionForm.FindStringSubmatch(version)
	if m != nil {
		day, err := time.Parse(time.DateOnly, m[1])
		if err == nil && !day.Before(firstVersion) && time.Until(day) < versionAhead {
			return nil
		}
	}
	return fault.InvalidAPIVersion.New("The api-version '%.64s' is invalid. It must be a date of the form 'YYYY-MM-DD', optionally followed by '-preview'.", version)
}

// list is the body of every list.
type list[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

// listOf makes a body of items; nil becomes an empty list.
func listOf[T, U any](items []T, show func(T) U) list[U] {
	out := list[U]{Value: make([]U, 0, len(items))}
	for _, v := range items {
		out.Value = append(out.Value, show(v))
	}
	return out
}
