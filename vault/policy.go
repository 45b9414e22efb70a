package vault

import (
	"fmt"
	"slices"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
)

// maxPolicies is how many access policies a vault holds.
const maxPolicies = 1024

// A Policy says what one principal may do with the contents of a vault. Permissions
// are kept as they were typed and compared without case; "all" is every permission.
type Policy struct {
	Tenant, ObjectID string
	// Application narrows the policy to users who come through an application; empty
	// for everybody else.
	Application                          string
	Keys, Secrets, Certificates, Storage []string
}

// known are the permissions that there are, folded.
var known = struct{ keys, secrets, certificates, storage []string }{
	keys: []string{
		"all", "encrypt", "decrypt", "wrapkey", "unwrapkey", "sign", "verify", "get", "list", "create", "update",
		"import", "delete", "backup", "restore", "recover", "purge", "release", "rotate", "getrotationpolicy", "setrotationpolicy",
	},
	secrets: []string{"all", "get", "list", "set", "delete", "backup", "restore", "recover", "purge"},
	certificates: []string{
		"all", "get", "list", "delete", "create", "import", "update", "managecontacts", "getissuers", "listissuers",
		"setissuers", "deleteissuers", "manageissuers", "recover", "purge", "backup", "restore",
	},
	storage: []string{
		"all", "get", "list", "delete", "set", "update", "regeneratekey", "recover", "purge", "backup", "restore",
		"setsas", "listsas", "getsas", "deletesas",
	},
}

// sameWho reports whether two policies speak of the same principal.
func (p Policy) sameWho(q Policy) bool {
	return resource.Equal(p.ObjectID, q.ObjectID) && resource.Equal(p.Application, q.Application)
}

func (p Policy) empty() bool {
	return len(p.Keys)+len(p.Secrets)+len(p.Certificates)+len(p.Storage) == 0
}

// check says what is wrong with a policy for a vault of a tenant.
func (p Policy) check(tenant string) error {
	if !resource.Equal(p.Tenant, tenant) {
		return invalid("accessPolicies", "every access policy must have the tenant of the vault, %s, and one has '%s'", tenant, p.Tenant)
	}
	if !resource.IsGUID(p.ObjectID) {
		return invalid("accessPolicies", "'%s' is not an object id", p.ObjectID)
	}
	if p.Application != "" && !resource.IsGUID(p.Application) {
		return invalid("accessPolicies", "'%s' is not an application id", p.Application)
	}
	for _, list := range []struct {
		of           string
		given, known []string
	}{
		{"keys", p.Keys, known.keys},
		{"secrets", p.Secrets, known.secrets},
		{"certificates", p.Certificates, known.certificates},
		{"storage", p.Storage, known.storage},
	} {
		for _, permission := range list.given {
			if !slices.Contains(list.known, resource.Fold(permission)) {
				return invalid("accessPolicies", "'%s' is not a permission to %s", permission, list.of)
			}
		}
	}
	return nil
}

// checkPolicies says what is wrong with a vault's list of policies.
func checkPolicies(tenant string, policies []Policy) error {
	if len(policies) > maxPolicies {
		return invalid("accessPolicies", "a vault holds at most %d access policies, and these are %d", maxPolicies, len(policies))
	}
	seen := map[string]bool{}
	for _, p := range policies {
		if err := p.check(tenant); err != nil {
			return err
		}
		who := resource.Fold(p.ObjectID + "/" + p.Application)
		if seen[who] {
			return invalid("accessPolicies", "the principal '%s' has more than one access policy", p.ObjectID)
		}
		seen[who] = true
	}
	return nil
}

// invalid is how Resource Manager's Key Vault refuses a property, with a sentence of
// ours behind Azure's.
func invalid(property, format string, args ...any) error {
	return fault.VaultBadRequest.New("An invalid value was provided for '%s'. %s.", property, sentence(fmt.Sprintf(format, args...)))
}

func sentence(s string) string {
	if s != "" && 'a' <= s[0] && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// A PolicyChange is one of the three things that can be done to a list of policies.
type PolicyChange string

// The changes: add permissions to a principal's, replace them, remove them. The
// policies of other principals stay.
const (
	AddPolicies     PolicyChange = "add"
	ReplacePolicies PolicyChange = "replace"
	RemovePolicies  PolicyChange = "remove"
)

// change returns what a list becomes. It does not touch the list given.
func (c PolicyChange) change(policies, by []Policy) []Policy {
	out := slices.Clone(policies)
	for _, p := range by {
		i := slices.IndexFunc(out, p.sameWho)
		switch {
		case c == RemovePolicies && i < 0:
		case c == RemovePolicies && p.empty():
			// A principal without permissions named means all of the principal's.
			out = slices.Delete(out, i, i+1)
		case c == RemovePolicies:
			q := out[i]
			q.Keys, q.Secrets = without(q.Keys, p.Keys), without(q.Secrets, p.Secrets)
			q.Certificates, q.Storage = without(q.Certificates, p.Certificates), without(q.Storage, p.Storage)
			if out[i] = q; q.empty() {
				out = slices.Delete(out, i, i+1)
			}
		case i < 0:
			out = append(out, p)
		case c == AddPolicies:
			q := out[i]
			q.Keys, q.Secrets = with(q.Keys, p.Keys), with(q.Secrets, p.Secrets)
			q.Certificates, q.Storage = with(q.Certificates, p.Certificates), with(q.Storage, p.Storage)
			out[i] = q
		default:
			out[i] = p
		}
	}
	return out
}

func with(have, more []string) []string {
	out := slices.Clone(have)
	for _, m := range more {
		if !contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

func without(have, less []string) []string {
	return slices.DeleteFunc(slices.Clone(have), func(h string) bool { return contains(less, h) })
}

func contains(list []string, s string) bool {
	return slices.ContainsFunc(list, func(t string) bool { return resource.Equal(s, t) })
}

// allows reports whether a policy of the vault gives the caller a permission to keys.
func (v *Vault) allows(who identity.Caller, permission string) bool {
	for _, p := range v.Policies {
		if !resource.Equal(p.ObjectID, who.ObjectID) {
			continue
		}
		if p.Application != "" && (who.Kind != "user" || !resource.Equal(p.Application, who.AppID)) {
			continue
		}
		if contains(p.Keys, permission) || contains(p.Keys, "all") {
			return true
		}
	}
	return false
}
