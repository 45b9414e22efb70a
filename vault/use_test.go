package vault_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/vault"
)

// permissions are all permissions to keys.
var permissions = []string{
	"encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify", "get", "list", "create", "update", "import", "delete",
	"backup", "restore", "recover", "purge", "release", "rotate", "getrotationpolicy", "setrotationpolicy",
}

// operations are all operations with keys: the permission that each needs, the data
// action, and how it is done on the key k, or the deleted key d.
func operations(t *testing.T, w *world, vaultName string) map[string]struct {
	permission, action string
	do                 func(who identity.Caller) error
} {
	ref := vault.Ref{Vault: vaultName, Key: "k"}
	gone := vault.Ref{Vault: vaultName, Key: "d"}
	fresh := vault.Ref{Vault: vaultName, Key: "new"}
	small := vault.Ref{Vault: vaultName, Key: "small"}
	const (
		action   = "Microsoft.KeyVault/vaults/keys/"
		rotation = "Microsoft.KeyVault/vaults/keyrotationpolicies/"
	)
	type row = struct {
		permission, action string
		do                 func(who identity.Caller) error
	}
	ctx := t.Context()
	return map[string]row{
		"create":          {"create", action + "create/action", func(who identity.Caller) error { return second(w.Create(ctx, who, fresh, vault.Draft{Type: "none"})) }},
		"get":             {"get", action + "read", func(who identity.Caller) error { return second(w.Key(ctx, who, ref)) }},
		"list":            {"list", action + "read", func(who identity.Caller) error { return second(w.Keys(ctx, who, vaultName, vault.Page{})) }},
		"versions":        {"list", action + "read", func(who identity.Caller) error { return second(w.Versions(ctx, who, ref, vault.Page{})) }},
		"update":          {"update", action + "update/action", func(who identity.Caller) error { return second(w.UpdateKey(ctx, who, ref, vault.Change{})) }},
		"encrypt":         {"encrypt", action + "encrypt/action", func(who identity.Caller) error { return second(w.Encrypt(ctx, who, ref, "RSA-OAEP", nil)) }},
		"decrypt":         {"decrypt", action + "decrypt/action", func(who identity.Caller) error { return second(w.Decrypt(ctx, who, ref, "RSA-OAEP", nil)) }},
		"wrap":            {"wrapKey", action + "wrap/action", func(who identity.Caller) error { return second(w.Wrap(ctx, who, ref, "RSA-OAEP", nil)) }},
		"unwrap":          {"unwrapKey", action + "unwrap/action", func(who identity.Caller) error { return second(w.Unwrap(ctx, who, ref, "RSA-OAEP", nil)) }},
		"delete":          {"delete", action + "delete", func(who identity.Caller) error { return second(w.DeleteKey(ctx, who, fresh)) }},
		"deleted":         {"get", action + "read", func(who identity.Caller) error { return second(w.DeletedKey(ctx, who, gone)) }},
		"list of deleted": {"list", action + "read", func(who identity.Caller) error { return second(w.DeletedKeys(ctx, who, vaultName, vault.Page{})) }},
		"recover":         {"recover", action + "recover/action", func(who identity.Caller) error { return second(w.RecoverKey(ctx, who, fresh)) }},
		"purge":           {"purge", action + "purge/action", func(who identity.Caller) error { return w.PurgeKey(ctx, who, fresh) }},
		"import":          {"import", action + "import/action", func(who identity.Caller) error { return second(w.Import(ctx, who, fresh, vault.Import{})) }},
		"rotate":          {"rotate", action + "rotate/action", func(who identity.Caller) error { return second(w.Rotate(ctx, who, small)) }},
		"policy":          {"getrotationpolicy", rotation + "read", func(who identity.Caller) error { return second(w.RotationPolicy(ctx, who, ref)) }},
		"set policy": {"setrotationpolicy", rotation + "write", func(who identity.Caller) error {
			return second(w.SetRotationPolicy(ctx, who, ref, vault.RotationPolicy{}))
		}},
		"backup":      {"backup", action + "backup/action", func(who identity.Caller) error { return second(w.Backup(ctx, who, ref)) }},
		"restore":     {"restore", action + "restore/action", func(who identity.Caller) error { return second(w.Restore(ctx, who, vaultName, nil)) }},
		"sign":        {"sign", action + "sign/action", func(who identity.Caller) error { return second(w.Sign(ctx, who, ref, "RS256", nil)) }},
		"verify":      {"verify", action + "verify/action", func(who identity.Caller) error { return second(w.Verify(ctx, who, ref, "RS256", nil, nil)) }},
		"attestation": {"get", action + "read", func(who identity.Caller) error { return w.Attestation(ctx, who, ref) }},
		"random":      {"get", action + "read", func(who identity.Caller) error { return second(w.Random(ctx, who, vaultName, 1)) }},
		"release":     {"release", action + "release/action", func(who identity.Caller) error { return w.Release(ctx, who, fresh) }},
	}
}

// mustKeys makes the keys that operations works on.
func (w *world) mustKeys(t *testing.T, vaultName string) {
	t.Helper()
	w.mustKey(t, vault.Ref{Vault: vaultName, Key: "k"})
	w.mustKey(t, vault.Ref{Vault: vaultName, Key: "small"}, func(d *vault.Draft) { d.Type = vault.EC })
	w.mustKey(t, vault.Ref{Vault: vaultName, Key: "d"})
	if _, err := w.DeleteKey(t.Context(), w.owner, vault.Ref{Vault: vaultName, Key: "d"}); err != nil {
		t.Fatal(err)
	}
}

func TestEachOperationNeedsItsOwnPermission(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "auth1")
	w.mustVault(t, "auth2")
	w.mustKeys(t, "auth1")
	who := w.guest()
	ops := operations(t, w, "auth1")
	if len(ops) != 25 {
		t.Fatalf("got %d operations", len(ops))
	}
	// A permission to another vault is none to this one.
	w.allow(t, "auth2", who, "all")
	refused := func(name string, err error, permission string) {
		t.Helper()
		f, ok := fault.From(err)
		if !ok || f.Code != fault.Forbidden || f.Inner != "AccessDenied" ||
			!strings.Contains(f.Message, "does not have keys "+permission+" permission on key vault 'auth1;location=westus2'") ||
			!strings.Contains(f.Message, "oid="+who.ObjectID+";iss=https://sts.windows.net/"+who.Tenant+"/") {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	for name, op := range ops {
		refused(name+" with nothing", op.do(who), op.permission)
	}
	for _, permission := range append(slices.Clone(permissions), "all", "ALL", "WRAPKEY") {
		w.allow(t, "auth1", who, permission)
		for name, op := range ops {
			err := op.do(who)
			if strings.EqualFold(permission, op.permission) || strings.EqualFold(permission, "all") {
				if errors.Is(err, fault.Forbidden) {
					t.Errorf("%s with %s: got %v, want it allowed", name, permission, err)
				}
			} else {
				refused(name+" with "+permission, err, op.permission)
			}
		}
	}
	// And with all permissions but one.
	for _, without := range permissions {
		w.allow(t, "auth1", who, slices.DeleteFunc(slices.Clone(permissions), func(p string) bool { return p == without })...)
		for name, op := range ops {
			if err := op.do(who); op.permission == without {
				refused(name+" with all but "+without, err, op.permission)
			} else if errors.Is(err, fault.Forbidden) {
				t.Errorf("%s with all but %s: got %v, want it allowed", name, without, err)
			}
		}
	}
	stranger := who
	stranger.Tenant = w.guest().ObjectID
	for name, op := range ops {
		if err := op.do(stranger); !errors.Is(err, fault.Unauthorized) {
			t.Errorf("%s from another tenant: got %v, want %v", name, err, fault.Unauthorized)
		}
	}
}

func TestRolesDecideWhereTheVaultSaysSo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "rbac1")
	w.mustKeys(t, "rbac1")
	v, err := w.Update(t.Context(), w.owner, w.at("rbac1"), vault.Settings{RBAC: ptr(true)})
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := w.directory.CreateIdentity(t.Context(), identity.ManagedIdentity{
		ResourceID: "/subscriptions/" + w.directory.Subscription() + "/resourceGroups/g1/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-1",
		Location:   "westus2",
	})
	if err != nil {
		t.Fatal(err)
	}
	who := identity.Caller{Tenant: m.TenantID, ObjectID: m.PrincipalID, AppID: m.ClientID, Kind: "managed identity"}
	ops := operations(t, w, "rbac1")
	for name, op := range ops {
		// Policies count for nothing, and neither does Owner.
		for _, caller := range []identity.Caller{w.owner, who} {
			f, ok := fault.From(op.do(caller))
			if !ok || f.Inner != "ForbiddenByRbac" || !strings.Contains(f.Message, "Action: '"+op.action+"'") {
				t.Errorf("%s: got %v, want it refused for want of %s", name, f, op.action)
			}
		}
	}
	if _, _, err := w.directory.AssignRole(t.Context(), w.owner.ObjectID, identity.RoleAssignment{
		Name: resource.NewGUID(), Scope: v.ID, RoleID: identity.RoleKeyVaultServiceEncryption, PrincipalID: who.ObjectID,
	}); err != nil {
		t.Fatal(err)
	}
	for name, op := range ops {
		err := op.do(who)
		if allowed := slices.Contains([]string{"get", "list", "versions", "wrap", "unwrap", "deleted", "list of deleted", "attestation", "random"}, name); allowed == errors.Is(err, fault.Forbidden) {
			t.Errorf("%s: got %v, want it allowed: %v", name, err, allowed)
		}
	}
	// Deleting the vault takes the role with it.
	if _, err := w.Delete(t.Context(), w.owner, w.at("rbac1")); err != nil {
		t.Fatal(err)
	}
	in := w.settings()
	in.Recover = true
	if _, _, err := w.Put(t.Context(), w.owner, w.at("rbac1"), in); err != nil {
		t.Fatal(err)
	}
	wants(t, ops["wrap"].do(who), fault.Forbidden, "ForbiddenByRbac")
}

func TestEveryUseOfAKeyIsAudited(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "audit1")
	w.mustKeys(t, "audit1")
	who := w.guest()
	ops := operations(t, w, "audit1")
	for _, op := range ops {
		_ = op.do(w.owner)
		_ = op.do(who)
	}
	got := w.audited(t)
	for _, operation := range []string{
		"KeyCreate", "KeyGet", "KeyList", "KeyListVersions", "KeyUpdate", "KeyDelete", "KeyEncrypt", "KeyDecrypt", "KeyWrap", "KeyUnwrap",
		"KeyListDeleted", "KeyGetDeleted", "KeyRecover", "KeyPurge", "KeyImport", "KeyRotate", "KeyRotationPolicyGet", "KeyRotationPolicySet",
		"KeyBackup", "KeyRestore", "KeySign", "KeyVerify", "KeyGetAttestation", "RandomBytesGet", "KeyRelease",
	} {
		allowed, denied := false, false
		for line := range strings.Lines(got) {
			if strings.Contains(line, `"operationName":"`+operation+`"`) {
				allowed = allowed || strings.Contains(line, w.owner.ObjectID) && strings.Contains(line, `"callerIpAddress":"192.0.2.7"`)
				denied = denied || strings.Contains(line, who.ObjectID) && strings.Contains(line, "AccessDenied") && strings.Contains(line, `"httpStatusCode":403`)
			}
		}
		if !allowed || !denied {
			t.Errorf("%s: allowed use recorded: %v, denied use recorded: %v", operation, allowed, denied)
		}
	}
}
