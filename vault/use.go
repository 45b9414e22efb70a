package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// A Ref names a key of a vault as a request does. Version is empty for the newest one.
type Ref struct{ Vault, Key, Version string }

func (r Ref) path() string {
	if r.Version == "" {
		return r.Key
	}
	return r.Key + "/" + r.Version
}

// An operation is one thing that can be done in a vault.
type operation struct {
	// name is what the audit calls it.
	name string
	// permission is the access policy's word for it, and the word in Azure's
	// sentences.
	permission string
	// action is the data action that a role needs when roles decide.
	action string
}

const actions = Type + "/keys/"

// The operations. Deleted keys are listed and shown with the permissions of live
// ones, as in Azure.
var (
	opCreate       = operation{"KeyCreate", "create", actions + "create/action"}
	opGet          = operation{"KeyGet", "get", actions + "read"}
	opList         = operation{"KeyList", "list", actions + "read"}
	opListVersions = operation{"KeyListVersions", "list", actions + "read"}
	opUpdate       = operation{"KeyUpdate", "update", actions + "update/action"}
	opDelete       = operation{"KeyDelete", "delete", actions + "delete"}
	opEncrypt      = operation{"KeyEncrypt", "encrypt", actions + "encrypt/action"}
	opDecrypt      = operation{"KeyDecrypt", "decrypt", actions + "decrypt/action"}
	opWrap         = operation{"KeyWrap", "wrapKey", actions + "wrap/action"}
	opUnwrap       = operation{"KeyUnwrap", "unwrapKey", actions + "unwrap/action"}
	opSign         = operation{"KeySign", "sign", actions + "sign/action"}
	opVerify       = operation{"KeyVerify", "verify", actions + "verify/action"}
	opImport       = operation{"KeyImport", "import", actions + "import/action"}
	opRotate       = operation{"KeyRotate", "rotate", actions + "rotate/action"}
	opGetRotation  = operation{"KeyRotationPolicyGet", "getrotationpolicy", Type + "/keyrotationpolicies/read"}
	opSetRotation  = operation{"KeyRotationPolicySet", "setrotationpolicy", Type + "/keyrotationpolicies/write"}
	opBackup       = operation{"KeyBackup", "backup", actions + "backup/action"}
	opRestore      = operation{"KeyRestore", "restore", actions + "restore/action"}
	opRelease      = operation{"KeyRelease", "release", actions + "release/action"}
	opAttestation  = operation{"KeyGetAttestation", "get", actions + "read"}
	opRandom       = operation{"RandomBytesGet", "get", actions + "read"}
	opListDeleted  = operation{"KeyListDeleted", "list", actions + "read"}
	opGetDeleted   = operation{"KeyGetDeleted", "get", actions + "read"}
	opRecover      = operation{"KeyRecover", "recover", actions + "recover/action"}
	opPurge        = operation{"KeyPurge", "purge", actions + "purge/action"}
)

// What a vault does by itself, for the audit; nobody needs a permission for it.
var (
	opRotateIfDue = operation{name: "KeyRotateIfDue"}
	opNearExpiry  = operation{name: "KeyNearExpiryEventGridNotification"}
)

// An Auditor keeps what was done with keys. It returns when the record is kept.
type Auditor interface {
	Record(e identity.Event) error
}

// A use is one operation while it is done, for the audit.
type use struct {
	who     identity.Caller
	op      operation
	ref     Ref
	vaultID string
	version string
	// facts are more to tell the audit: the algorithm.
	facts map[string]string
}

// use does an operation and writes it to the audit, whatever came of it. What cannot
// be written to the audit is not answered.
func (s *Service) use(ctx context.Context, who identity.Caller, op operation, ref Ref, do func(u *use) error) error {
	start := time.Now()
	u := &use{who: who, op: op, ref: ref, version: ref.Version}
	err := do(u)
	if aerr := s.Audit.Record(s.event(u, start, err)); aerr != nil {
		return fmt.Errorf("recording %s: %w", op.name, aerr)
	}
	return err
}

// event tells the audit what came of a use.
func (s *Service) event(u *use, start time.Time, err error) identity.Event {
	e := identity.Event{
		Time: start, ResourceID: u.vaultID, Operation: u.op.name, Status: http.StatusOK,
		Duration: time.Since(start), Caller: u.who, Properties: u.facts,
	}
	if u.op == opPurge {
		e.Status = http.StatusNoContent
	}
	if u.ref.Key != "" {
		e.KeyID = s.KeyID(u.ref.Vault, u.ref.Key, u.version)
	}
	if f, ok := fault.From(err); ok {
		e.Status, e.Detail = f.Code.Status, f.Code.Name
		if f.Inner != "" {
			e.Detail += "/" + f.Inner
		}
	} else if err != nil {
		e.Status, e.Detail = fault.InternalError.Status, fault.InternalError.Name
	}
	return e
}

// enter finds the vault of a use and asks whether the caller may do it there. It is
// the first step in every transaction of a use.
func (s *Service) enter(ctx context.Context, tx *store.Tx, u *use) (*Vault, error) {
	v, err := s.named(tx, u.ref.Vault)
	if err != nil {
		return nil, err
	}
	u.vaultID = v.ID
	if err := v.admits(u.who); err != nil {
		return nil, err
	}
	if v.RBAC {
		return v, s.enterByRole(ctx, v, u)
	}
	if !v.allows(u.who, u.op.permission) {
		return nil, fault.Forbidden.New("The user, group or application '%s' does not have keys %s permission on key vault '%s;location=%s'. "+
			"For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287",
			caller(u.who), u.op.permission, v.Name, v.Location).Because("AccessDenied")
	}
	return v, nil
}

func (s *Service) enterByRole(ctx context.Context, v *Vault, u *use) error {
	at := v.ID
	if u.ref.Key != "" {
		at += "/keys/" + u.ref.Key
	}
	err := s.Directory.RequireData(ctx, u.who, u.op.action, at)
	if !errors.Is(err, fault.AuthorizationFailed) {
		return err
	}
	return fault.Forbidden.New("Caller is not authorized to perform action on resource.\r\n"+
		"If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\n"+
		"Caller: %s\r\nAction: '%s'\r\nResource: '%s'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\n"+
		"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: %s;location=%s\r\n",
		caller(u.who), u.op.action, resource.Fold(at), v.Name, v.Location).Because("ForbiddenByRbac")
}

// named returns the vault that a host name leads to. What it returns is shared.
func (s *Service) named(tx *store.Tx, name string) (*Vault, error) {
	r, err := tx.Lookup(store.KindVault, store.RID{}, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.KeyVaultNotFound.New("There is no vault named '%s'.", name)
	}
	if err != nil {
		return nil, err
	}
	return s.decodeVault(r)
}

// admits refuses callers of other tenants.
func (v *Vault) admits(who identity.Caller) error {
	if resource.Equal(v.Tenant, who.Tenant) {
		return nil
	}
	return fault.Unauthorized.New("AKV10032: Invalid issuer. Expected %s, found %s.", issuer(v.Tenant), issuer(who.Tenant))
}

// Known fails unless there is a vault of a name and the caller is of its tenant.
func (s *Service) Known(ctx context.Context, who identity.Caller, name string) error {
	return s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		v, err := s.named(tx, name)
		if err != nil {
			return err
		}
		return v.admits(who)
	})
}

// Region returns the location of a vault; empty if there is none.
func (s *Service) Region(ctx context.Context, name string) (region string) {
	_ = s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		v, err := s.named(tx, name)
		if err == nil {
			region = v.Location
		}
		return err
	})
	return region
}

func caller(who identity.Caller) string {
	return "appid=" + who.AppID + ";oid=" + who.ObjectID + ";iss=" + issuer(who.Tenant)
}

func issuer(tenant string) string { return "https://sts.windows.net/" + tenant + "/" }
