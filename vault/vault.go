// Package vault keeps vaults and the keys in them, and lets nobody but their owners'
// guests use them.
//
// Its one idea: a key never leaves. Callers send bytes to wrap or unwrap and get bytes
// back; the private key lies sealed in the vault's own store, under a master key that
// opens nothing else, and in memory while it is used. Who may do what is looked up at
// every call, in the same view of the store as the key itself, so that a permission
// that was taken away bites at the next call. Every use, allowed or refused, is
// written to the audit before its answer.
//
// What is deleted stays for the vault's retention and can be brought back; Run purges
// it when its time has come.
package vault

import (
	"context"
	"log/slog"
	"net/url"
	"runtime"
	"sync"
	"time"

	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// Provider and Type are a vault's namespace and full type in Resource Manager.
const (
	Provider = "Microsoft.KeyVault"
	Type     = Provider + "/vaults"
)

// A Directory knows the tenant and what its principals may do.
type Directory interface {
	// Tenant returns the id of the tenant.
	Tenant() string
	// Require fails with fault.AuthorizationFailed if no role lets the caller do a
	// management action.
	Require(ctx context.Context, who identity.Caller, action, scope string) error
	// RequireData is Require for a data action, which only roles with data actions
	// allow.
	RequireData(ctx context.Context, who identity.Caller, action, scope string) error
	// DropScope removes the roles that were given on a resource which is gone.
	DropScope(ctx context.Context, scope string) error
}

// Config says what a Service stands on. Every field but Geography must be set.
type Config struct {
	// Store is the vaults' own; its zero space holds everything.
	Store     *store.Store
	Cloud     resource.Cloud
	Directory Directory
	Audit     Auditor
	// Location returns the short name of a region, which may be given in any
	// spelling, or the fault that says that there is no such region.
	Location func(name string) (string, error)
	// Geography returns where the data of a region, by its short name, stays; backups
	// of keys do not leave it. Nil makes each region its own.
	Geography func(region string) string
	Log       *slog.Logger
}

// A Service keeps vaults and keys.
type Service struct {
	Config

	mu     sync.Mutex
	change []func(vaultHost string)

	vaults   cache[*Vault]
	versions cache[*Version]
	// making limits how many keys are generated, or looked at before an import, at
	// once: a large RSA key is seconds of one processor.
	making chan struct{}
}

// New returns the service over a store.
func New(c Config) *Service {
	return &Service{
		Config:   c,
		vaults:   cache[*Vault]{limit: 1024},
		versions: cache[*Version]{limit: 2048},
		making:   make(chan struct{}, max(1, runtime.GOMAXPROCS(0))),
	}
}

// OnChange has f called after every committed change of a vault, a policy or a key,
// with the vault's host name. Call it before the service is used; f must not block.
func (s *Service) OnChange(f func(vaultHost string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = append(s.change, f)
}

func (s *Service) changed(vaultName string) {
	s.mu.Lock()
	change := s.change
	s.mu.Unlock()
	for _, f := range change {
		f(s.host(vaultName))
	}
}

// host returns the host name, with the profile's port, of a vault.
func (s *Service) host(vaultName string) string {
	u, err := url.Parse(s.Cloud.VaultURI(vaultName))
	if err != nil {
		return ""
	}
	return u.Host
}

// A Vault is a vault as its owner set it up. It is stored as it is: its field names
// are those of the record.
type Vault struct {
	// ID is the resource id as it was first written.
	ID                                  string
	Subscription, Group, Name, Location string
	Tags                                map[string]string
	Tenant                              string
	SKU                                 SKU
	Policies                            []Policy
	// ForDeployment, ForDiskEncryption and ForTemplateDeployment are kept for the
	// clients that ask.
	ForDeployment, ForDiskEncryption, ForTemplateDeployment bool
	// RBAC has roles decide about data actions instead of Policies.
	RBAC bool
	// PurgeProtection keeps what is deleted until its retention is over. It is never
	// taken away again.
	PurgeProtection bool
	// Retention is how many days deleted things stay.
	Retention int
	// Network is kept and not enforced; nil if none was given.
	Network             *Network
	PublicNetworkAccess string
	Created, Modified   Stamp

	rid store.RID
}

// A SKU is a vault's price tag.
type SKU struct{ Family, Name string }

// A Stamp says who did something when.
type Stamp struct {
	// By is the application or user, Kind its kind as identity.Caller has it.
	By, Kind string
	At       time.Time
}

func stamp(who identity.Caller) Stamp {
	by := who.AppID
	if who.Kind == "user" && who.Name != "" || by == "" {
		by = who.Name
	}
	if by == "" {
		by = who.ObjectID
	}
	return Stamp{By: by, Kind: who.Kind, At: time.Now().UTC()}
}

// Network is the vault's network rules.
type Network struct {
	Bypass, DefaultAction string
	Addresses             []string
	Subnets               []Subnet
}

// A Subnet is a virtual network that a rule lets in.
type Subnet struct {
	ID                    string
	IgnoreMissingEndpoint *bool
}

// Recovery says what becomes of a deleted key of this vault: Azure's name for the
// level, and the days it can be recovered.
func (v *Vault) Recovery() (level string, days int) {
	level = "Recoverable"
	if v.Retention < maxRetention {
		level = "CustomizedRecoverable"
	}
	if !v.PurgeProtection {
		level += "+Purgeable"
	}
	return level, v.Retention
}

// retention is how long deleted things of this vault stay.
func (v *Vault) retention() time.Duration { return time.Duration(v.Retention) * 24 * time.Hour }
