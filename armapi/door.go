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
	"log/slog"
	"net/http"

	"latchkey/account"
	"latchkey/batch"
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
	d.door = rest.NewDoor(rest.Config{Style: rest.ARM, Authenticate: d.authenticate, Check: d.check, Log: c.Log})
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
	d.unknownRoutes()
	return d.door
}
