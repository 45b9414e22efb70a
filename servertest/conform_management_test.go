package servertest_test

import (
	"net/http"
	"testing"
)

const armDocuments = "batch/resource-manager/Microsoft.Batch/stable/"

// notInBatchManagement are the operations of Microsoft.Batch that this service does not
// have, and how they are refused.
var notInBatchManagement = map[string]string{
	"ApplicationPackage_Activate": "OperationNotSupported", "Application_Create": "OperationNotSupported", "Application_Delete": "OperationNotSupported",
	"Application_Get": "ResourceNotFound", "Application_Update": "OperationNotSupported",
	"ApplicationPackage_Create": "OperationNotSupported", "ApplicationPackage_Delete": "OperationNotSupported",
	"ApplicationPackage_Get": "ResourceNotFound", "ApplicationPackage_List": "ResourceNotFound",
	"BatchAccount_GetDetector": "ResourceNotFound", "PrivateEndpointConnection_Get": "ResourceNotFound", "PrivateEndpointConnection_Update": "ResourceNotFound",
}

// conformer makes a conformer for one of Resource Manager's services.
func (w *world) conformer(t *testing.T, a *api, more ...string) *conformer {
	c := &conformer{
		world: w, t: t, api: a, base: management, done: map[string]int{}, values: w.within(), header: armHeader(),
		always: []string{"X-Ms-Request-Id", "X-Ms-Correlation-Request-Id", "X-Ms-Client-Request-Id"},
	}
	for name, v := range values(more...) {
		c.values[name] = v
	}
	return c
}

// Every operation of Batch accounts, and of pools and certificates in them, answers as
// the documents say.
func TestBatchManagementAnswersAsItsDocumentsSay(t *testing.T) {
	t.Parallel()
	conforming(t, map[string][]string{
		"2024-07-01": {armDocuments + "2024-07-01/BatchManagement.json"},
		"2022-10-01": {armDocuments + "2022-10-01/BatchManagement.json"},
	}, func(t *testing.T, a *api) {
		w := newWorld(t)
		keyID := w.makeVault()
		c := w.conformer(t, a, "poolName", "Pool1")
		// The state of a customer's key is told on the account; no document has it.
		c.allowed = func(path string) bool {
			return anyOf("properties.keyStatus")(path) || path == "body.primary" || path == "body.secondary"
		}
		c.accounts(keyID)
		c.accountPools()
		c.accountCertificates()
		c.ok("BatchAccount_Get", 200, nil)
		c.long("BatchAccount_Delete", nil)
		c.ok("BatchAccount_Delete", 204, nil)
		c.refused("BatchAccount_Get", 404, "ResourceNotFound", nil)
		c.values["accountName"] = "third" + c.values["accountName"][4:]
		c.rest(copied(notInBatchManagement))
	})
}

func (c *conformer) accounts(keyID string) {
	c.t.Helper()
	user := c.makeIdentity("owner")
	c.long("BatchAccount_Create", object{
		"location": "westus2", "tags": object{"a": "b"}, "identity": object{"type": "UserAssigned", "userAssignedIdentities": object{user: object{}}},
		"properties": object{
			"poolAllocationMode": "BatchService", "publicNetworkAccess": "Enabled", "allowedAuthenticationModes": []string{"AAD", "SharedKey", "TaskAuthenticationToken"},
			"encryption": object{"keySource": "Microsoft.Batch"},
		},
	}, "accountName", "second"+c.values["accountName"][4:])
	c.long("BatchAccount_Create", object{"location": "westus2", "identity": object{"type": "None"}}, "accountName", "third"+c.values["accountName"][4:])
	c.refused("BatchAccount_Create", 400, "LocationRequired", object{}, "accountName", "fourth1")
	c.refused("BatchAccount_Create", 400, "InvalidAccountName", object{"location": "westus2"}, "accountName", "Not-good")
	c.refused("BatchAccount_Create", 404, "ResourceGroupNotFound", object{"location": "westus2"}, "resourceGroupName", "nothere")
	c.ok("BatchAccount_Get", 200, nil)
	c.ok("BatchAccount_Update", 200, object{"tags": object{"x": "y"}, "properties": object{"encryption": object{
		"keySource": "Microsoft.KeyVault", "keyVaultProperties": object{"keyIdentifier": keyID},
	}}})
	c.refused("BatchAccount_Update", 400, "InvalidKeyVaultKey", object{"properties": object{"encryption": object{
		"keySource": "Microsoft.KeyVault", "keyVaultProperties": object{"keyIdentifier": c.keys + "/keys/none"},
	}}})
	c.refused("BatchAccount_Update", 404, "ResourceNotFound", object{"tags": object{}}, "accountName", "nothere")
	c.refused("BatchAccount_Get", 404, "ResourceNotFound", nil, "accountName", "nothere")
	c.ok("BatchAccount_List", 200, nil)
	c.ok("BatchAccount_ListByResourceGroup", 200, nil)
	c.ok("BatchAccount_GetKeys", 200, nil)
	c.ok("BatchAccount_RegenerateKey", 200, object{"keyName": "Secondary"})
	c.refused("BatchAccount_RegenerateKey", 400, "InvalidPropertyValue", object{"keyName": "Third"})
	c.refused("BatchAccount_GetKeys", 404, "ResourceNotFound", nil, "accountName", "nothere")
	c.refused("BatchAccount_SynchronizeAutoStorageKeys", 409, "Conflict", nil)
	c.ok("BatchAccount_Update", 200, object{"properties": object{
		"autoStorage":    object{"storageAccountId": c.group + "/providers/Microsoft.Storage/storageAccounts/store", "authenticationMode": "StorageKeys"},
		"networkProfile": object{"accountAccess": object{"defaultAction": "Allow", "ipRules": []object{{"action": "Allow", "value": "10.0.0.0/8"}}}},
	}})
	c.ok("BatchAccount_SynchronizeAutoStorageKeys", 204, nil)
	c.ok("BatchAccount_Get", 200, nil)
	c.ok("BatchAccount_ListDetectors", 200, nil)
	c.ok("BatchAccount_ListOutboundNetworkDependenciesEndpoints", 200, nil)
	c.ok("PrivateLinkResource_ListByBatchAccount", 200, nil)
	c.ok("PrivateLinkResource_Get", 200, nil, "privateLinkResourceName", "batchAccount")
	c.refused("PrivateLinkResource_Get", 404, "ResourceNotFound", nil, "privateLinkResourceName", "nothere")
	c.ok("PrivateEndpointConnection_ListByBatchAccount", 200, nil)
	c.ok("PrivateEndpointConnection_Delete", 204, nil, "privateEndpointConnectionName", "nothere")
	c.ok("Application_List", 200, nil)
	c.ok("Location_GetQuotas", 200, nil)
	c.ok("Location_ListSupportedVirtualMachineSkus", 200, nil)
	if c.has("Location_ListSupportedCloudServiceSkus") {
		c.ok("Location_ListSupportedCloudServiceSkus", 200, nil)
	}
	c.ok("Operations_List", 200, nil)
	c.ok("Location_CheckNameAvailability", 200, object{"name": c.values["accountName"], "type": "Microsoft.Batch/batchAccounts"})
	c.ok("Location_CheckNameAvailability", 200, object{"name": "free1234", "type": "Microsoft.Batch/batchAccounts"})
}

// makeIdentity makes a user-assigned identity and returns its resource id.
func (w *world) makeIdentity(name string) string {
	w.t.Helper()
	id := w.group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + name
	w.must(http.MethodPut, management+id+"?api-version=2023-01-31", object{"location": "westus2"}, nil)
	return id
}

func (c *conformer) accountPools() {
	c.t.Helper()
	pool := object{
		"identity": object{"type": "UserAssigned", "userAssignedIdentities": object{c.makeIdentity("pool"): object{}}},
		"properties": object{
			"displayName": "first", "vmSize": "STANDARD_D2S_V3", "taskSlotsPerNode": 2, "interNodeCommunication": "Disabled",
			"deploymentConfiguration": object{"virtualMachineConfiguration": object{
				"imageReference": object{"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
				"nodeAgentSkuId": "batch.node.ubuntu 24.04", "nodePlacementConfiguration": object{"policy": "Regional"},
				"osDisk": object{"ephemeralOSDiskSettings": object{"placement": "CacheDisk"}},
			}},
			"scaleSettings":        object{"fixedScale": object{"resizeTimeout": "PT8M", "targetDedicatedNodes": 1, "targetLowPriorityNodes": 0, "nodeDeallocationOption": "Requeue"}},
			"networkConfiguration": object{"publicIPAddressConfiguration": object{"provision": "NoPublicIPAddresses"}},
			"taskSchedulingPolicy": object{"nodeFillType": "Pack"},
			"userAccounts":         []object{{"name": "worker", "password": "Secret1!", "elevationLevel": "NonAdmin", "linuxUserConfiguration": object{"uid": 1234, "gid": 1234}}},
			"metadata":             []object{{"name": "m", "value": "v"}},
			"startTask": object{
				"commandLine": "/bin/sh -c 'echo ready'", "environmentSettings": []object{{"name": "A", "value": "b"}}, "maxTaskRetryCount": 1, "waitForSuccess": true,
				"userIdentity": object{"autoUser": object{"scope": "Pool", "elevationLevel": "NonAdmin"}},
			},
		},
	}
	c.need(c.ok("Pool_Create", 200, pool), "ETag")
	c.refused("Pool_Create", 412, "ConditionNotMet", pool, "If-None-Match", "*")
	c.refused("Pool_Create", 400, "InvalidPoolIdentity", object{"identity": object{"type": "SystemAssigned"}}, "poolName", "p2")
	c.need(c.ok("Pool_Get", 200, nil), "ETag")
	c.refused("Pool_Get", 404, "PoolNotFound", nil, "poolName", "nothere")
	c.ok("Pool_ListByBatchAccount", 200, nil)
	c.ok("Pool_ListByBatchAccount", 200, nil, "maxresults", "1", "$filter", "startswith(name, 'P')")
	c.ok("Pool_Update", 200, object{"properties": object{"metadata": []object{{"name": "n", "value": "w"}}}})
	c.refused("Pool_Update", 404, "PoolNotFound", object{"properties": object{}}, "poolName", "nothere")
	c.ok("Pool_DisableAutoScale", 200, nil)
	c.world.eventually("an idle node", func() bool { return c.world.nodes("Pool1")["idle"] == 1 })
	// A resize that waits for a task can be stopped.
	c.makeJob("j1", "Pool1")
	c.addTasks("j1", "t", "/bin/sh -c 'sleep 60'", 0, 1)
	c.world.eventually("a task running", func() bool { return c.world.counts("j1").Running == 1 })
	c.ok("Pool_Update", 200, object{"properties": object{"scaleSettings": object{"fixedScale": object{"targetDedicatedNodes": 0, "nodeDeallocationOption": "TaskCompletion"}}}})
	c.ok("Pool_Get", 200, nil)
	c.ok("Pool_StopResize", 200, nil)
	c.batch(http.MethodDelete, "/jobs/j1", nil, nil)
	c.long("Pool_Delete", nil)
	c.ok("Pool_Delete", 204, nil)
}

func (c *conformer) accountCertificates() {
	c.t.Helper()
	data := c.certificate(map[string][]byte{})
	name := "sha1-" + data["thumbprint"].(string)
	in := object{"properties": object{
		"thumbprintAlgorithm": "sha1", "thumbprint": data["thumbprint"], "format": "Pfx", "data": data["data"], "password": data["password"],
	}}
	c.values["certificateName"] = name
	c.need(c.ok("Certificate_Create", 200, in), "ETag")
	c.refused("Certificate_Create", 400, "InvalidPropertyValue", in, "certificateName", "sha1-"+"0123456789012345678901234567890123456789")
	c.need(c.ok("Certificate_Get", 200, nil), "ETag")
	c.refused("Certificate_Get", 404, "CertificateNotFound", nil, "certificateName", "sha1-0123456789012345678901234567890123456789")
	c.ok("Certificate_ListByBatchAccount", 200, nil)
	c.ok("Certificate_ListByBatchAccount", 200, nil, "maxresults", "1", "$select", "properties/format")
	c.ok("Certificate_Update", 200, in)
	// A certificate that a pool uses is not deleted, and the deletion can be taken back.
	c.ok("Pool_Create", 200, object{"properties": object{
		"vmSize": "STANDARD_D2S_V3", "scaleSettings": object{"fixedScale": object{"targetDedicatedNodes": 0}},
		"deploymentConfiguration": object{"virtualMachineConfiguration": object{
			"imageReference": object{"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}, "nodeAgentSkuId": "batch.node.ubuntu 24.04",
		}},
		"certificates": []object{{"id": c.account + "/certificates/" + name, "storeLocation": "LocalMachine", "visibility": []string{"StartTask"}}},
	}}, "poolName", "holder")
	if a := c.call("Certificate_Delete", nil, nil, nil); a.status == http.StatusAccepted {
		until(c.t, "the deletion has failed", func() bool {
			var v struct {
				Properties struct{ ProvisioningState string }
			}
			c.ok("Certificate_Get", 200, nil).read(c.t, &v)
			return v.Properties.ProvisioningState == "Failed"
		})
		c.ok("Certificate_CancelDeletion", 200, nil)
	} else {
		c.t.Errorf("deleting a certificate in use = %d %s, want 202", a.status, a.body)
	}
	c.long("Pool_Delete", nil, "poolName", "holder")
	c.long("Certificate_Delete", nil)
	c.ok("Certificate_Delete", 204, nil)
}
