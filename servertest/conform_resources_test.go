package servertest_test

import (
	"net/http"
	"strings"
	"testing"

	"latchkey/resource"
)

// Vaults, deleted and live, answer as the documents say.
func TestVaultManagementAnswersAsItsDocumentsSay(t *testing.T) {
	t.Parallel()
	const at = "keyvault/resource-manager/Microsoft.KeyVault/stable/2023-07-01/"
	a := readAPI(t, "2023-07-01", at+"keyvault.json", at+"providers.json")
	w := newWorld(t)
	w.makeVault()
	me := w.me()
	id, _ := resource.ParseID(w.vault)
	c := w.conformer(t, a, "vaultName", id.Name())
	vault := object{"location": "westus2", "tags": object{"a": "b"}, "properties": object{
		"tenantId": w.TenantID, "sku": object{"family": "A", "name": "premium"},
		"enabledForDeployment": true, "enabledForTemplateDeployment": true, "enabledForDiskEncryption": true,
		"enableRbacAuthorization": false, "softDeleteRetentionInDays": 8, "publicNetworkAccess": "Enabled",
		"accessPolicies": []object{w.policy(me, "get list")},
		"networkAcls": object{
			"bypass": "AzureServices", "defaultAction": "Allow", "ipRules": []object{{"value": "10.0.0.0/8"}},
			"virtualNetworkRules": []object{},
		},
	}}
	const other = "other-vault-1"
	c.ok("Vaults_CreateOrUpdate", 200, vault, "vaultName", other)
	c.refused("Vaults_CreateOrUpdate", 400, "VaultNameNotValid", vault, "vaultName", "no--good")
	c.refused("Vaults_CreateOrUpdate", 404, "ResourceGroupNotFound", vault, "resourceGroupName", "nothere", "vaultName", "fresh-vault-1")
	c.ok("Vaults_Get", 200, nil)
	c.ok("Vaults_Get", 200, nil, "vaultName", other)
	c.refused("Vaults_Get", 404, "ResourceNotFound", nil, "vaultName", "nothere")
	c.ok("Vaults_Update", 200, object{"tags": object{"x": "y"}, "properties": object{"enabledForDeployment": false}}, "vaultName", other)
	c.refused("Vaults_Update", 404, "ResourceNotFound", object{"tags": object{}}, "vaultName", "nothere")
	change := object{"properties": object{"accessPolicies": []object{w.policy(w.principal, wrapKeyAndSoOn)}}}
	for _, kind := range []string{"add", "replace", "remove"} {
		c.ok("Vaults_UpdateAccessPolicy", 200, change, "vaultName", other, "operationKind", kind)
	}
	c.refused("Vaults_UpdateAccessPolicy", 404, "ResourceNotFound", change, "vaultName", "nothere", "operationKind", "add")
	c.ok("Vaults_ListByResourceGroup", 200, nil)
	c.ok("Vaults_ListBySubscription", 200, nil, "$top", "1")
	c.ok("Vaults_List", 200, nil, "$filter", "resourceType eq 'Microsoft.KeyVault/vaults'")
	c.ok("Vaults_CheckNameAvailability", 200, object{"name": other, "type": "Microsoft.KeyVault/vaults"})
	c.ok("Vaults_CheckNameAvailability", 200, object{"name": "free-vault-1", "type": "Microsoft.KeyVault/vaults"})
	c.ok("PrivateEndpointConnections_ListByResource", 200, nil)
	c.ok("Vaults_Delete", 200, nil, "vaultName", other)
	c.ok("Vaults_Delete", 204, nil, "vaultName", other)
	c.ok("Vaults_ListDeleted", 200, nil)
	c.ok("Vaults_GetDeleted", 200, nil, "vaultName", other)
	c.refused("Vaults_GetDeleted", 404, "DeletedVaultNotFound", nil, "vaultName", "nothere")
	c.refused("Vaults_CreateOrUpdate", 409, "ConflictError", vault, "vaultName", other)
	c.long("Vaults_PurgeDeleted", nil, "vaultName", other)
	c.refused("Vaults_PurgeDeleted", 404, "DeletedVaultNotFound", nil, "vaultName", other)
	c.ok("Operations_List", 200, nil)
	c.rest(map[string]string{
		"PrivateEndpointConnections_Get": "InvalidResourceType", "PrivateEndpointConnections_Put": "InvalidResourceType",
		"PrivateEndpointConnections_Delete": "InvalidResourceType", "PrivateLinkResources_ListByVault": "InvalidResourceType",
	})
}

// User-assigned identities answer as the document says.
func TestIdentitiesAnswerAsTheirDocumentSays(t *testing.T) {
	t.Parallel()
	a := readAPI(t, "2023-01-31", "msi/resource-manager/Microsoft.ManagedIdentity/stable/2023-01-31/ManagedIdentity.json")
	w := newWorld(t)
	c := w.conformer(t, a, "resourceName", "id1", "scope", w.account)
	c.ok("UserAssignedIdentities_CreateOrUpdate", 201, object{"location": "westus2", "tags": object{"a": "b"}})
	c.ok("UserAssignedIdentities_CreateOrUpdate", 200, object{"location": "westus2"})
	c.refused("UserAssignedIdentities_CreateOrUpdate", 404, "ResourceGroupNotFound", object{"location": "westus2"}, "resourceGroupName", "nothere")
	c.ok("UserAssignedIdentities_Update", 200, object{"tags": object{"x": "y"}})
	c.ok("UserAssignedIdentities_Get", 200, nil)
	c.refused("UserAssignedIdentities_Get", 404, "ResourceNotFound", nil, "resourceName", "nothere")
	c.ok("UserAssignedIdentities_ListByResourceGroup", 200, nil)
	c.ok("UserAssignedIdentities_ListBySubscription", 200, nil)
	c.ok("SystemAssignedIdentities_GetByScope", 200, nil)
	c.ok("Operations_List", 200, nil)
	c.ok("UserAssignedIdentities_Delete", 200, nil)
	c.ok("UserAssignedIdentities_Delete", 204, nil)
	c.makeIdentity("id1")
	c.rest(map[string]string{
		"FederatedIdentityCredentials_List": "OperationNotSupported", "FederatedIdentityCredentials_CreateOrUpdate": "OperationNotSupported",
		"FederatedIdentityCredentials_Get": "OperationNotSupported", "FederatedIdentityCredentials_Delete": "OperationNotSupported",
	})
}

// Subscriptions and tenants answer as the document says.
func TestSubscriptionsAnswerAsTheirDocumentSays(t *testing.T) {
	t.Parallel()
	a := readAPI(t, "2022-12-01", "resources/resource-manager/Microsoft.Resources/stable/2022-12-01/subscriptions.json")
	w := newWorld(t)
	c := w.conformer(t, a)
	// The documents require a nextLink even of a last page. Azure leaves it out.
	c.allowed = anyOf("body.nextLink")
	c.ok("Subscriptions_List", 200, nil)
	c.ok("Subscriptions_Get", 200, nil)
	c.refused("Subscriptions_Get", 404, "SubscriptionNotFound", nil, "subscriptionId", resource.NewGUID())
	c.ok("Subscriptions_ListLocations", 200, nil)
	c.ok("Tenants_List", 200, nil)
	c.ok("Operations_List", 200, nil)
	c.ok("checkResourceName", 200, object{"name": "plain", "type": "Microsoft.Batch/batchAccounts"})
	c.rest(map[string]string{"Subscriptions_CheckZonePeers": "InvalidResourceType"})
}

// Groups, providers and lists of resources answer as the document says. Deployments,
// tags and resources by an arbitrary id are not there.
func TestGroupsAnswerAsTheirDocumentSays(t *testing.T) {
	t.Parallel()
	a := readAPI(t, "2021-04-01", "resources/resource-manager/Microsoft.Resources/stable/2021-04-01/resources.json")
	w := newWorld(t)
	w.makeVault()
	c := w.conformer(t, a, "resourceProviderNamespace", "Microsoft.Batch")
	c.ok("ResourceGroups_CreateOrUpdate", 201, object{"location": "westus2", "tags": object{"a": "b"}}, "resourceGroupName", "g2")
	c.ok("ResourceGroups_CreateOrUpdate", 200, object{"location": "westus2"}, "resourceGroupName", "g2")
	c.refused("ResourceGroups_CreateOrUpdate", 400, "LocationRequired", object{}, "resourceGroupName", "g3")
	c.refused("ResourceGroups_CreateOrUpdate", 409, "InvalidResourceGroupLocation", object{"location": "eastus"}, "resourceGroupName", "g2")
	c.ok("ResourceGroups_Update", 200, object{"tags": object{"x": "y"}}, "resourceGroupName", "g2")
	c.ok("ResourceGroups_Get", 200, nil)
	c.refused("ResourceGroups_Get", 404, "ResourceGroupNotFound", nil, "resourceGroupName", "nothere")
	c.ok("ResourceGroups_CheckExistence", 204, nil)
	c.refused("ResourceGroups_CheckExistence", 404, "", nil, "resourceGroupName", "nothere")
	c.ok("ResourceGroups_List", 200, nil)
	c.ok("ResourceGroups_List", 200, nil, "$top", "1", "$filter", "tagName eq 'x' and tagValue eq 'y'")
	c.ok("Resources_List", 200, nil)
	c.ok("Resources_ListByResourceGroup", 200, nil, "$expand", "createdTime,changedTime,provisioningState")
	c.ok("Providers_List", 200, nil)
	c.ok("Providers_ListAtTenantScope", 200, nil)
	c.ok("Providers_Get", 200, nil)
	c.ok("Providers_GetAtTenantScope", 200, nil)
	c.ok("Providers_Register", 200, nil)
	c.refused("Providers_Register", 404, "InvalidResourceNamespace", nil, "resourceProviderNamespace", "Microsoft.Nothing")
	c.ok("Providers_Unregister", 200, nil, "resourceProviderNamespace", "Microsoft.ManagedIdentity")
	c.ok("ProviderResourceTypes_List", 200, nil)
	c.ok("Operations_List", 200, nil)
	c.long("ResourceGroups_Delete", nil, "resourceGroupName", "g2")
	c.refused("ResourceGroups_Delete", 404, "ResourceGroupNotFound", nil, "resourceGroupName", "g2")
	called := 0
	for _, op := range a.names() {
		switch {
		case c.done[op] > 0:
			called++
		case strings.HasPrefix(op, "Deployment"), strings.HasPrefix(op, "Tags_"), strings.HasSuffix(op, "ById"), strings.HasSuffix(op, "AtManagementGroupScope"):
		case strings.HasPrefix(op, "Resources_"), op == "ResourceGroups_ExportTemplate", op == "Providers_ProviderPermissions":
		default:
			t.Errorf("%s was never answered well", op)
		}
	}
	t.Logf("%d operations answered well", called)
}

// Role assignments and definitions answer as the documents say.
func TestRolesAnswerAsTheirDocumentsSay(t *testing.T) {
	t.Parallel()
	const at = "authorization/resource-manager/Microsoft.Authorization/stable/2022-04-01/authorization-"
	a := readAPI(t, "2022-04-01", at+"RoleAssignmentsCalls.json", at+"RoleDefinitionsCalls.json", at+"DenyAssignmentCalls.json")
	w := newWorld(t)
	const reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	role := "/subscriptions/" + w.SubscriptionID + "/providers/Microsoft.Authorization/roleDefinitions/" + reader
	id, _ := resource.ParseID(w.account)
	name := resource.NewGUID()
	c := w.conformer(t, a,
		"scope", w.group, "roleAssignmentName", name, "roleDefinitionId", reader,
		"resourceProviderNamespace", "Microsoft.Batch", "resourceType", "batchAccounts", "resourceName", id.Name(),
	)
	// Azure says null of what an assignment does not have, and so do we.
	c.allowed = anyOf(".condition", ".conditionVersion", ".delegatedManagedIdentityResourceId", ".description")
	in := object{"properties": object{"roleDefinitionId": role, "principalId": w.principal, "principalType": "ServicePrincipal", "description": "may look"}}
	c.ok("RoleAssignments_Create", 201, in)
	c.refused("RoleAssignments_Create", 409, "RoleAssignmentExists", in, "roleAssignmentName", resource.NewGUID())
	c.refused("RoleAssignments_Create", 400, "InvalidRoleAssignmentId", in, "roleAssignmentName", "plain")
	c.refused("RoleAssignments_Create", 400, "PrincipalNotFound", object{"properties": object{"roleDefinitionId": role, "principalId": resource.NewGUID()}}, "roleAssignmentName", resource.NewGUID())
	c.ok("RoleAssignments_Get", 200, nil)
	c.refused("RoleAssignments_Get", 404, "RoleAssignmentNotFound", nil, "roleAssignmentName", resource.NewGUID())
	c.ok("RoleAssignments_ListForSubscription", 200, nil)
	c.ok("RoleAssignments_ListForSubscription", 200, nil, "$filter", "atScope()")
	c.ok("RoleAssignments_ListForResourceGroup", 200, nil, "$filter", "principalId eq '"+w.principal+"'")
	c.ok("RoleAssignments_ListForScope", 200, nil)
	c.ok("RoleDefinitions_List", 200, nil)
	c.ok("RoleDefinitions_List", 200, nil, "$filter", "roleName eq 'Reader'")
	c.ok("RoleDefinitions_Get", 200, nil)
	c.refused("RoleDefinitions_Get", 404, "RoleDefinitionDoesNotExist", nil, "roleDefinitionId", resource.NewGUID())
	c.ok("Permissions_ListForResourceGroup", 200, nil)
	c.ok("DenyAssignments_ListForResourceGroup", 200, nil)
	c.ok("DenyAssignments_List", 200, nil)
	c.ok("DenyAssignments_ListForScope", 200, nil)
	byID := w.group + "/providers/Microsoft.Authorization/roleAssignments/"
	second := resource.NewGUID()
	c.values["roleAssignmentId"] = byID + second
	c.ok("RoleAssignments_CreateById", 201, object{"properties": object{
		"roleDefinitionId": strings.Replace(role, reader, "b24988ac-6180-42a0-ab88-20f7382dd24c", 1), "principalId": w.principal,
	}})
	c.ok("RoleAssignments_GetById", 200, nil)
	c.ok("RoleAssignments_DeleteById", 200, nil)
	c.ok("RoleAssignments_Delete", 200, nil)
	c.ok("RoleAssignments_Delete", 204, nil)
	// Of one resource: the document's path has a parent, which an account does not have.
	c.values["parentResourcePath"] = ""
	c.ok("RoleAssignments_ListForResource", 200, nil)
	c.values["roleId"] = role
	c.ok("RoleDefinitions_GetById", 200, nil)
	if a := c.send(http.MethodGet, management+w.account+"/providers/Microsoft.Authorization/permissions?api-version=2022-04-01", nil, nil); a.status != 200 {
		t.Errorf("permissions of an account = %d %s", a.status, a.body)
	} else {
		c.complain("Permissions_ListForResource", nil, c.api.operations["Permissions_ListForResource"].check(a, nil))
	}
	unbuilt := map[string]string{
		"RoleDefinitions_CreateOrUpdate": "OperationNotSupported", "RoleDefinitions_Delete": "OperationNotSupported",
		"DenyAssignments_Get": "ResourceNotFound", "DenyAssignments_GetById": "ResourceNotFound",
	}
	delete(c.api.operations, "Permissions_ListForResource")
	delete(c.api.operations, "DenyAssignments_ListForResource")
	c.values["denyAssignmentId"] = resource.NewGUID()
	c.rest(unbuilt)
}
