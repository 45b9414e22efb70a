package identity

import (
	"slices"
	"strings"

	"latchkey/resource"
)

// The ids of the built-in roles, which are the same in every Azure tenant.
const (
	RoleOwner                     = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	RoleContributor               = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	RoleReader                    = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	RoleUserAccessAdministrator   = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
	RoleKeyVaultAdministrator     = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
	RoleKeyVaultCryptoOfficer     = "14b46e9e-c2b7-41b4-b07b-48a6ebf60603"
	RoleKeyVaultCryptoUser        = "12338af0-0e69-4776-bea7-57ae8d297424"
	RoleKeyVaultServiceEncryption = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
	RoleKeyVaultReader            = "21090545-7ca7-4776-b22c-e363652d74d2"
)

// A RoleDefinition says what a role may do. Actions are on resources, data actions on
// what is in them; what the Not lists name is taken away again from this role, and is
// not forbidden: another role may give it.
type RoleDefinition struct {
	// ID is a GUID.
	ID, Name, Description       string
	Actions, NotActions         []string
	DataActions, NotDataActions []string
}

// onlyRBAC ends the descriptions of Key Vault's roles.
const onlyRBAC = " Only works for key vaults that use the 'Azure role-based access control' permission model."

// vaultManagement is what Key Vault's wider data roles may do to resources.
var vaultManagement = []string{
	"Microsoft.Authorization/*/read",
	"Microsoft.Insights/alertRules/*",
	"Microsoft.Resources/deployments/*",
	"Microsoft.Resources/subscriptions/resourceGroups/read",
	"Microsoft.Support/*",
	"Microsoft.KeyVault/checkNameAvailability/read",
	"Microsoft.KeyVault/deletedVaults/read",
	"Microsoft.KeyVault/locations/*/read",
	"Microsoft.KeyVault/vaults/*/read",
	"Microsoft.KeyVault/operations/read",
}

var builtIn = []RoleDefinition{
	{
		ID: RoleOwner, Name: "Owner",
		Description: "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
		Actions:     []string{"*"},
	}, {
		ID: RoleContributor, Name: "Contributor",
		Description: "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC, manage assignments in Azure Blueprints, or share image galleries.",
		Actions:     []string{"*"},
		NotActions: []string{
			"Microsoft.Authorization/*/Delete",
			"Microsoft.Authorization/*/Write",
			"Microsoft.Authorization/elevateAccess/Action",
			"Microsoft.Blueprint/blueprintAssignments/write",
			"Microsoft.Blueprint/blueprintAssignments/delete",
			"Microsoft.Compute/galleries/share/action",
			"Microsoft.Purview/consents/write",
			"Microsoft.Purview/consents/delete",
			"Microsoft.Resources/deploymentStacks/manageDenySetting/action",
			"Microsoft.Subscription/cancel/action",
			"Microsoft.Subscription/enable/action",
		},
	}, {
		ID: RoleReader, Name: "Reader",
		Description: "View all resources, but does not allow you to make any changes.",
		Actions:     []string{"*/read"},
	}, {
		ID: RoleUserAccessAdministrator, Name: "User Access Administrator",
		Description: "Lets you manage user access to Azure resources.",
		Actions:     []string{"*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"},
	}, {
		ID: RoleKeyVaultAdministrator, Name: "Key Vault Administrator",
		Description: "Perform all data plane operations on a key vault and all objects in it, including certificates, keys, and secrets. Cannot manage key vault resources or manage role assignments." + onlyRBAC,
		Actions:     vaultManagement,
		DataActions: []string{"Microsoft.KeyVault/vaults/*"},
	}, {
		ID: RoleKeyVaultCryptoOfficer, Name: "Key Vault Crypto Officer",
		Description: "Perform any action on the keys of a key vault, except manage permissions." + onlyRBAC,
		Actions:     vaultManagement,
		DataActions: []string{"Microsoft.KeyVault/vaults/keys/*", "Microsoft.KeyVault/vaults/keyrotationpolicies/*"},
	}, {
		ID: RoleKeyVaultCryptoUser, Name: "Key Vault Crypto User",
		Description: "Perform cryptographic operations using keys." + onlyRBAC,
		DataActions: []string{
			"Microsoft.KeyVault/vaults/keys/read",
			"Microsoft.KeyVault/vaults/keys/update/action",
			"Microsoft.KeyVault/vaults/keys/backup/action",
			"Microsoft.KeyVault/vaults/keys/encrypt/action",
			"Microsoft.KeyVault/vaults/keys/decrypt/action",
			"Microsoft.KeyVault/vaults/keys/wrap/action",
			"Microsoft.KeyVault/vaults/keys/unwrap/action",
			"Microsoft.KeyVault/vaults/keys/sign/action",
			"Microsoft.KeyVault/vaults/keys/verify/action",
		},
	}, {
		ID: RoleKeyVaultServiceEncryption, Name: "Key Vault Crypto Service Encryption User",
		Description: "Read metadata of keys and perform wrap/unwrap operations." + onlyRBAC,
		Actions: []string{
			"Microsoft.EventGrid/eventSubscriptions/write",
			"Microsoft.EventGrid/eventSubscriptions/read",
			"Microsoft.EventGrid/eventSubscriptions/delete",
		},
		DataActions: []string{
			"Microsoft.KeyVault/vaults/keys/read",
			"Microsoft.KeyVault/vaults/keys/wrap/action",
			"Microsoft.KeyVault/vaults/keys/unwrap/action",
		},
	}, {
		ID: RoleKeyVaultReader, Name: "Key Vault Reader",
		Description: "Read metadata of key vaults and its certificates, keys, and secrets. Cannot read sensitive values such as secret contents or key material." + onlyRBAC,
		Actions:     vaultManagement,
		DataActions: []string{"Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaults/secrets/readMetadata/action"},
	},
}

// RoleDefinitions lists the roles that there are: Azure's built-in ones that mean
// something here.
func RoleDefinitions() []RoleDefinition { return slices.Clone(builtIn) }

// Role returns the role with an id: a GUID, or a resource id that ends in one.
func Role(id string) (RoleDefinition, bool) {
	guid := id[strings.LastIndexByte(id, '/')+1:]
	i := slices.IndexFunc(builtIn, func(r RoleDefinition) bool { return resource.Equal(r.ID, guid) })
	if i < 0 {
		return RoleDefinition{}, false
	}
	return builtIn[i], true
}

// may reports whether the role gives an action on resources.
func (r *RoleDefinition) may(action string) bool {
	return matches(r.Actions, action) && !matches(r.NotActions, action)
}

// mayData reports whether the role gives an action on data. The data plane of Batch
// goes by actions, as Azure's does for its tokens: whoever may manage an account may
// use it, whoever may read it may look.
func (r *RoleDefinition) mayData(action string) bool {
	if matches(r.DataActions, action) && !matches(r.NotDataActions, action) {
		return true
	}
	const batch = "microsoft.batch/"
	return len(action) > len(batch) && resource.Equal(action[:len(batch)], batch) && r.may(action)
}

func matches(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matchAction(p, action) })
}

// matchAction matches an action as Azure does: without case, and each * stands for
// any run of characters, slashes included.
func matchAction(pattern, action string) bool {
	pattern, action = resource.Fold(pattern), resource.Fold(action)
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == action
	}
	rest, ok := strings.CutPrefix(action, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, last)
}
