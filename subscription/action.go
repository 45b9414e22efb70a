package subscription

import "strings"

// An Action is something that a role can allow.
type Action struct {
	// Name is as roles spell it: Microsoft.Batch/batchAccounts/read.
	Name string
	// Resource and Operation say it in words.
	Resource, Operation string
	// Data actions are on what is in a resource, not on the resource.
	Data bool
}

// Actions returns what roles can allow on the provider's types.
func (p Provider) Actions() []Action {
	var out []Action
	for _, a := range actions {
		if strings.HasPrefix(a.Name, p.Namespace+"/") {
			out = append(out, a)
		}
	}
	return out
}

// actions are those that the services ask for.
var actions = []Action{
	{"Microsoft.Batch/batchAccounts/read", "Batch Accounts", "Lists Batch accounts or gets the properties of a Batch account", false},
	{"Microsoft.Batch/batchAccounts/write", "Batch Accounts", "Creates a new Batch account or updates an existing Batch account", false},
	{"Microsoft.Batch/batchAccounts/delete", "Batch Accounts", "Deletes a Batch account", false},
	{"Microsoft.Batch/batchAccounts/listKeys/action", "Batch Accounts", "Lists access keys for a Batch account", false},
	{"Microsoft.Batch/batchAccounts/regenerateKeys/action", "Batch Accounts", "Regenerates access keys for a Batch account", false},
	{"Microsoft.Batch/batchAccounts/pools/read", "Pools", "Lists pools on a Batch account or gets the properties of a pool", false},
	{"Microsoft.Batch/batchAccounts/pools/write", "Pools", "Creates a new pool on a Batch account or updates an existing pool", false},
	{"Microsoft.Batch/batchAccounts/pools/delete", "Pools", "Deletes a pool from a Batch account", false},
	{"Microsoft.Batch/batchAccounts/certificates/read", "Certificates", "Lists certificates on a Batch account or gets the properties of a certificate", false},
	{"Microsoft.Batch/batchAccounts/certificates/write", "Certificates", "Creates a new certificate on a Batch account or updates an existing certificate", false},
	{"Microsoft.Batch/batchAccounts/certificates/delete", "Certificates", "Deletes a certificate from a Batch account", false},
	{"Microsoft.Batch/locations/quotas/read", "Locations", "Gets Batch quotas of the specified subscription at the specified region", false},
	{"Microsoft.Batch/locations/checkNameAvailability/action", "Locations", "Checks that the account name is valid and not in use", false},
	{"Microsoft.Batch/batchAccounts/jobs/read", "Jobs", "Lists jobs on a Batch account or gets the properties of a job", true},
	{"Microsoft.Batch/batchAccounts/jobs/write", "Jobs", "Creates a new job on a Batch account or updates an existing job", true},
	{"Microsoft.Batch/batchAccounts/jobs/delete", "Jobs", "Deletes a job from a Batch account", true},

	{"Microsoft.KeyVault/vaults/read", "Key Vault", "View the properties of a key vault", false},
	{"Microsoft.KeyVault/vaults/write", "Key Vault", "Create a new key vault or update the properties of an existing key vault", false},
	{"Microsoft.KeyVault/vaults/delete", "Key Vault", "Delete a key vault", false},
	{"Microsoft.KeyVault/vaults/accessPolicies/write", "Access Policy", "Update an existing access policy by merging or replacing, or add a new access policy to a vault", false},
	{"Microsoft.KeyVault/checkNameAvailability/read", "Name availability", "Checks that a key vault name is valid and is not in use", false},
	{"Microsoft.KeyVault/deletedVaults/read", "Soft Deleted Vault", "View the properties of soft deleted key vaults", false},
	{"Microsoft.KeyVault/locations/deletedVaults/read", "Soft Deleted Vault", "View the properties of a soft deleted key vault", false},
	{"Microsoft.KeyVault/locations/deletedVaults/purge/action", "Soft Deleted Vault", "Purge a soft deleted key vault", false},
	{"Microsoft.KeyVault/vaults/keys/read", "Key", "List keys in the specified vault, or read properties and public material of a key", true},
	{"Microsoft.KeyVault/vaults/keys/create/action", "Key", "Create a key", true},
	{"Microsoft.KeyVault/vaults/keys/update/action", "Key", "Update the attributes of a key", true},
	{"Microsoft.KeyVault/vaults/keys/delete", "Key", "Delete a key", true},
	{"Microsoft.KeyVault/vaults/keys/recover/action", "Key", "Recover a deleted key", true},
	{"Microsoft.KeyVault/vaults/keys/purge/action", "Key", "Permanently delete a key", true},
	{"Microsoft.KeyVault/vaults/keys/wrap/action", "Key", "Wrap a symmetric key with a key", true},
	{"Microsoft.KeyVault/vaults/keys/unwrap/action", "Key", "Unwrap a symmetric key with a key", true},

	{"Microsoft.ManagedIdentity/userAssignedIdentities/read", "User Assigned Identity", "Gets an existing user assigned identity", false},
	{"Microsoft.ManagedIdentity/userAssignedIdentities/write", "User Assigned Identity", "Creates a new user assigned identity or updates the tags of an existing one", false},
	{"Microsoft.ManagedIdentity/userAssignedIdentities/delete", "User Assigned Identity", "Deletes an existing user assigned identity", false},
	{"Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", "User Assigned Identity", "Assigns an existing user assigned identity to a resource", false},
	{"Microsoft.ManagedIdentity/identities/read", "Identity", "Gets an existing system assigned identity", false},

	{"Microsoft.Authorization/roleAssignments/read", "Role assignment", "Get information about a role assignment", false},
	{"Microsoft.Authorization/roleAssignments/write", "Role assignment", "Create a role assignment at the specified scope", false},
	{"Microsoft.Authorization/roleAssignments/delete", "Role assignment", "Delete a role assignment at the specified scope", false},
	{"Microsoft.Authorization/roleDefinitions/read", "Role definition", "Get information about a role definition", false},
	{"Microsoft.Authorization/permissions/read", "Permission", "Lists all the permissions the caller has at a given scope", false},

	{"Microsoft.Resources/subscriptions/read", "Subscription", "Gets the list of subscriptions", false},
	{readGroup, "Resource group", "Gets or lists resource groups", false},
	{writeGroup, "Resource group", "Creates or updates a resource group", false},
	{deleteGroup, "Resource group", "Deletes a resource group and all its resources", false},
	{readResources, "Resource", "Gets resources of a subscription", false},
	{"Microsoft.Resources/subscriptions/operationresults/read", "Operation result", "Get the subscription operation results", false},
}
