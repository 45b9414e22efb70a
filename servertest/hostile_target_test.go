package servertest_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"latchkey/armapi"
	"latchkey/batchapi"
	"latchkey/graphapi"
	"latchkey/resource"
	"latchkey/server"
	"latchkey/tokenapi"
	"latchkey/vaultapi"
)

// targets are requests to every route of every door. Those that would take something
// away name what is not there; the rest is about the victim.
func (w *world) targets() []target {
	w.t.Helper()
	w.makeVault()
	// Whoever may do everything gets furthest.
	w.must(http.MethodPut, management+w.vault+"/accessPolicies/add?"+vaultsVersion, object{"properties": object{
		"accessPolicies": []object{w.policy(w.me(), "all")},
	}}, nil)
	w.makePool("p1", 1, 1)
	w.makeJob("j1", "p1")
	w.addTasks("j1", "t", "/bin/sh -c 'echo done'", 0, 1)
	w.eventually("a task completes", func() bool { return w.counts("j1").Completed == 1 })
	w.batch(http.MethodPost, "/jobs/j1/disable", object{"disableTasks": "requeue"}, nil)
	return slices.Concat(w.vaultTargets(), w.batchTargets(), w.otherTargets(), w.managementTargets())
}

func (w *world) managementTargets() []target {
	account, _ := resource.ParseID(w.account)
	vault, _ := resource.ParseID(w.vault)
	const (
		sub   = "/subscriptions/{sub}"
		group = sub + "/resourceGroups/{group}"
		batch = group + "/providers/Microsoft.Batch/batchAccounts/{account}"
		vlt   = group + "/providers/Microsoft.KeyVault/vaults/{vault}"
		mid   = group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{identity}"
		roles = "/{scope}/providers/Microsoft.Authorization/"
	)
	at := map[string]string{
		"sub": w.SubscriptionID, "group": "g1", "account": account.Name(), "vault": vault.Name(), "identity": "id1", "scope": strings.Trim(w.account, "/"),
		"name": resource.NewGUID(), "location": "westus2", "namespace": "Microsoft.Batch", "operation": resource.NewGUID(), "pool": "p1",
		"certificate": "sha1-0123456789012345678901234567890123456789", "change": "add", "part": "x",
	}
	w.makeIdentity("id1")
	gone := map[string]string{"group": "gone1", "account": "gone1", "vault": "gone1", "identity": "gone1", "pool": "gone1"}
	tags := object{"tags": object{"a": "b"}}
	pool := object{"properties": object{
		"vmSize": "STANDARD_D2S_V3", "displayName": "d", "taskSlotsPerNode": 1, "scaleSettings": object{"fixedScale": object{"targetDedicatedNodes": 0, "resizeTimeout": "PT8M"}},
		"deploymentConfiguration": object{"virtualMachineConfiguration": object{
			"imageReference": object{"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}, "nodeAgentSkuId": "batch.node.ubuntu 24.04",
		}},
		"userAccounts": []object{{"name": "u", "password": "p", "linuxUserConfiguration": object{"uid": 1, "gid": 1}}}, "metadata": []object{{"name": "m", "value": "v"}},
		"startTask": object{"commandLine": "true", "environmentSettings": []object{{"name": "A", "value": "b"}}, "userIdentity": object{"autoUser": object{"scope": "Pool"}}},
	}}
	role := "/subscriptions/" + w.SubscriptionID + "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
	rows := []struct {
		version, method, path string
		body                  any
		gone                  bool
	}{
		{"2015-01-01", "GET", "/metadata/endpoints", nil, false},
		{"2022-12-01", "GET", "/tenants", nil, false},
		{"2022-12-01", "GET", "/subscriptions", nil, false},
		{"2022-12-01", "GET", sub, nil, false},
		{"2022-12-01", "GET", sub + "/locations", nil, false},
		{"2022-12-01", "POST", "/providers/Microsoft.Resources/checkResourceName", object{"name": "n", "type": "Microsoft.Batch/batchAccounts"}, false},
		{"2021-04-01", "GET", "/providers", nil, false},
		{"2021-04-01", "GET", "/providers/{namespace}", nil, false},
		{"2021-04-01", "GET", sub + "/providers", nil, false},
		{"2021-04-01", "GET", sub + "/providers/{namespace}", nil, false},
		{"2021-04-01", "GET", sub + "/providers/{namespace}/resourceTypes", nil, false},
		{"2021-04-01", "POST", sub + "/providers/{namespace}/register", nil, false},
		{"2021-04-01", "GET", "/providers/{namespace}/operations", nil, false},
		{"2021-04-01", "GET", sub + "/resourceGroups", nil, false},
		{"2021-04-01", "GET", group, nil, false},
		{"2021-04-01", "PATCH", group, tags, false},
		{"2021-04-01", "PUT", group, object{"location": "westus2", "tags": object{"a": "b"}}, true},
		{"2021-04-01", "DELETE", group, nil, true},
		{"2021-04-01", "HEAD", group, nil, false},
		{"2021-04-01", "POST", group + "/exportTemplate", object{}, false},
		{"2021-04-01", "GET", group + "/resources", nil, false},
		{"2021-04-01", "GET", sub + "/resources", nil, false},
		{"2021-04-01", "PUT", group + "/providers/Microsoft.Resources/deployments/{part}", object{}, false},
		{"2021-04-01", "GET", sub + "/operationresults/{operation}", nil, false},
		{"2024-07-01", "GET", sub + "/providers/{namespace}/locations/{location}/operationResults/{operation}", nil, false},
		{"2024-07-01", "GET", sub + "/providers/{namespace}/locations/{location}/operationStatuses/{operation}", nil, false},
		{"2022-04-01", "GET", roles + "roleAssignments", nil, false},
		{"2022-04-01", "GET", roles + "roleAssignments/{name}", nil, false},
		{"2022-04-01", "DELETE", roles + "roleAssignments/{name}", nil, false},
		{"2022-04-01", "PUT", roles + "roleAssignments/{name}", object{"properties": object{"roleDefinitionId": role, "principalId": w.principal, "principalType": "ServicePrincipal"}}, false},
		{"2022-04-01", "GET", roles + "roleDefinitions", nil, false},
		{"2022-04-01", "GET", roles + "roleDefinitions/{name}", nil, false},
		{"2022-04-01", "PUT", roles + "roleDefinitions/{name}", object{}, false},
		{"2022-04-01", "GET", roles + "permissions", nil, false},
		{"2022-04-01", "GET", roles + "denyAssignments", nil, false},
		{"2023-01-31", "PUT", mid, object{"location": "westus2", "tags": object{"a": "b"}}, false},
		{"2023-01-31", "PATCH", mid, tags, false},
		{"2023-01-31", "GET", mid, nil, false},
		{"2023-01-31", "DELETE", mid, nil, true},
		{"2023-01-31", "GET", "/{scope}/providers/Microsoft.ManagedIdentity/identities/default", nil, false},
		{"2023-01-31", "GET", mid + "/federatedIdentityCredentials/{part}", nil, false},
		{"2023-07-01", "PUT", vlt, object{"location": "westus2", "tags": object{"a": "b"}, "properties": object{
			"tenantId": w.TenantID, "sku": object{"family": "A", "name": "standard"}, "softDeleteRetentionInDays": 7, "enableRbacAuthorization": false, "networkAcls": object{"bypass": "None", "ipRules": []object{{"value": "10.0.0.1"}}},
			"accessPolicies": []object{w.policy(w.me(), "all")},
		}}, false},
		{"2023-07-01", "PATCH", vlt, object{"tags": object{"a": "b"}, "properties": object{"enabledForDeployment": true}}, false},
		{"2023-07-01", "GET", vlt, nil, false},
		{"2023-07-01", "HEAD", vlt, nil, false},
		{"2023-07-01", "DELETE", vlt, nil, true},
		{"2023-07-01", "PUT", vlt + "/accessPolicies/{change}", object{"properties": object{"accessPolicies": []object{w.policy(w.principal, "get")}}}, false},
		{"2023-07-01", "GET", sub + "/providers/Microsoft.KeyVault/vaults", nil, false},
		{"2023-07-01", "POST", sub + "/providers/Microsoft.KeyVault/checkNameAvailability", object{"name": "n", "type": "Microsoft.KeyVault/vaults"}, false},
		{"2023-07-01", "GET", sub + "/providers/Microsoft.KeyVault/deletedVaults", nil, false},
		{"2023-07-01", "GET", sub + "/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{vault}", nil, true},
		{"2023-07-01", "POST", sub + "/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{vault}/purge", nil, true},
		{"2023-07-01", "GET", group + "/providers/Microsoft.KeyVault/managedHSMs/{part}", nil, false},
		{"2024-07-01", "PUT", batch, object{"location": "westus2", "tags": object{"a": "b"}, "identity": object{"type": "SystemAssigned"}, "properties": object{
			"poolAllocationMode": "BatchService", "publicNetworkAccess": "Enabled", "encryption": object{"keySource": "Microsoft.Batch"}, "allowedAuthenticationModes": []string{"AAD", "SharedKey"},
			"networkProfile": object{"accountAccess": object{"defaultAction": "Allow"}}, "autoStorage": object{"storageAccountId": w.group + "/providers/Microsoft.Storage/storageAccounts/s"},
		}}, false},
		{"2024-07-01", "PATCH", batch, object{"tags": object{"a": "b"}, "properties": object{"encryption": object{"keySource": "Microsoft.KeyVault", "keyVaultProperties": object{"keyIdentifier": w.keys + "/keys/k1"}}}}, false},
		{"2024-07-01", "GET", batch, nil, false},
		{"2024-07-01", "HEAD", batch, nil, false},
		{"2024-07-01", "DELETE", batch, nil, true},
		{"2024-07-01", "GET", sub + "/providers/Microsoft.Batch/batchAccounts", nil, false},
		{"2024-07-01", "POST", batch + "/listKeys", nil, false},
		{"2024-07-01", "POST", batch + "/regenerateKeys", object{"keyName": "Primary"}, false},
		{"2024-07-01", "POST", batch + "/syncAutoStorageKeys", nil, false},
		{"2024-07-01", "GET", batch + "/outboundNetworkDependenciesEndpoints", nil, false},
		{"2024-07-01", "GET", batch + "/detectors/{part}", nil, false},
		{"2024-07-01", "GET", batch + "/privateLinkResources/{part}", nil, false},
		{"2024-07-01", "PUT", batch + "/applications/{part}", object{}, false},
		{"2024-07-01", "GET", sub + "/providers/Microsoft.Batch/locations/{location}/quotas", nil, false},
		{"2024-07-01", "POST", sub + "/providers/Microsoft.Batch/locations/{location}/checkNameAvailability", object{"name": "n", "type": "Microsoft.Batch/batchAccounts"}, false},
		{"2024-07-01", "GET", sub + "/providers/Microsoft.Batch/locations/{location}/virtualMachineSkus", nil, false},
		{"2024-07-01", "PUT", batch + "/pools/{pool}", pool, true},
		{"2024-07-01", "PATCH", batch + "/pools/{pool}", pool, true},
		{"2024-07-01", "GET", batch + "/pools/{pool}", nil, false},
		{"2024-07-01", "GET", batch + "/pools", nil, false},
		{"2024-07-01", "DELETE", batch + "/pools/{pool}", nil, true},
		{"2024-07-01", "POST", batch + "/pools/{pool}/stopResize", nil, false},
		{"2024-07-01", "POST", batch + "/pools/{pool}/disableAutoScale", nil, false},
		{"2024-07-01", "PUT", batch + "/certificates/{certificate}", object{"properties": object{"thumbprintAlgorithm": "sha1", "thumbprint": "0123456789012345678901234567890123456789", "format": "Cer", "data": "AAAA", "password": "p"}}, false},
		{"2024-07-01", "GET", batch + "/certificates/{certificate}", nil, false},
		{"2024-07-01", "DELETE", batch + "/certificates/{certificate}", nil, false},
		{"2024-07-01", "POST", batch + "/certificates/{certificate}/cancelDelete", nil, false},
		{"2024-07-01", "GET", batch + "/certificates", nil, false},
		{"2024-07-01", "GET", batch + "/poolOperationResults/{operation}", nil, false},
		{"2024-07-01", "GET", batch + "/certificateOperationResults/{operation}", nil, false},
	}
	token := w.bearer("https://management.azure.com/")
	var out []target
	for _, row := range rows {
		t := target{door: "management", host: "management.azure.com", token: token, method: row.method, path: row.path, query: "api-version=" + row.version, body: row.body, at: map[string]string{}}
		for name, v := range at {
			if g, ok := gone[name]; ok && row.gone && strings.HasSuffix(row.path, "{"+name+"}") || ok && row.gone && strings.HasSuffix(row.path, "{"+name+"}/purge") {
				v = g
			}
			if strings.Contains(row.path, "{"+name+"}") {
				t.at[name] = v
			}
		}
		out = append(out, t)
	}
	return out
}

func (w *world) vaultTargets() []target {
	create := object{
		"kty": "RSA", "key_size": 2048, "public_exponent": 65537, "key_ops": []string{"wrapKey"}, "attributes": object{"enabled": true, "nbf": 1, "exp": 2000000000}, "tags": object{"a": "b"},
	}
	use := object{"alg": "RSA-OAEP-256", "value": "AAAA"}
	token, host := w.bearer("https://vault.azure.net"), strings.TrimPrefix(w.keys, "https://")
	var out []target
	for _, row := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/keys", nil},
		{"POST", "/keys/{new}/create", create},
		{"GET", "/keys/{key}", nil},
		{"GET", "/keys/{key}/{version}", nil},
		{"GET", "/keys/{key}/versions", nil},
		{"PATCH", "/keys/{key}/{version}", object{"attributes": object{"enabled": true}, "tags": object{"a": "b"}, "key_ops": []string{"wrapKey"}}},
		{"PATCH", "/keys/{new}", object{"tags": object{}}},
		{"DELETE", "/keys/{new}", nil},
		{"POST", "/keys/{key}/wrapkey", use},
		{"POST", "/keys/{key}/{version}/unwrapkey", use},
		{"POST", "/keys/{key}/encrypt", use},
		{"POST", "/keys/{key}/decrypt", use},
		{"GET", "/deletedkeys", nil},
		{"GET", "/deletedkeys/{new}", nil},
		{"DELETE", "/deletedkeys/{new}", nil},
		{"POST", "/deletedkeys/{new}/recover", nil},
		{"GET", "/secrets/{new}", nil},
		{"GET", "/certificates/{new}", nil},
		{"GET", "/nonsense/{new}", nil},
	} {
		t := target{door: "vault", host: host, token: token, method: row.method, path: row.path, query: keysVersion, body: row.body, at: map[string]string{}}
		for name, v := range map[string]string{"key": "k1", "version": resource.NewGUID(), "new": "gone1"} {
			if strings.Contains(row.path, "{"+name+"}") {
				t.at[name] = v
			}
		}
		out = append(out, t)
	}
	return out
}

func (w *world) batchTargets() []target {
	var nodes struct{ Value []struct{ ID string } }
	w.batch(http.MethodGet, "/pools/p1/nodes", nil, &nodes)
	at := map[string]string{
		"pool": "p1", "job": "j1", "task": "t0", "node": nodes.Value[0].ID, "gone": "gone1", "file": "stdout.txt", "print": "0123456789012345678901234567890123456789", "alg": "sha1",
	}
	image := object{"imageReference": object{"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}, "nodeAgentSKUId": "batch.node.ubuntu 24.04"}
	pairs := []object{{"name": "n", "value": "v"}}
	pool := object{
		"id": "gone1", "displayName": "d", "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": image, "targetDedicatedNodes": 0, "targetLowPriorityNodes": 0, "resizeTimeout": "PT15M", "taskSlotsPerNode": 1, "metadata": pairs,
		"startTask":            object{"commandLine": "true", "environmentSettings": pairs, "resourceFiles": []object{{"httpUrl": "https://x.invalid/a", "filePath": "a"}}, "maxTaskRetryCount": 0, "userIdentity": object{"autoUser": object{"scope": "pool", "elevationLevel": "nonadmin"}}},
		"taskSchedulingPolicy": object{"nodeFillType": "pack"}, "userAccounts": []object{{"name": "u", "password": "p", "elevationLevel": "admin"}}, "certificateReferences": []object{{"thumbprint": "a", "thumbprintAlgorithm": "sha1"}},
		"networkConfiguration": object{"publicIPAddressConfiguration": object{"provision": "batchmanaged"}}, "enableInterNodeCommunication": false,
	}
	job := object{
		"id": "gone1", "displayName": "d", "priority": 0, "poolInfo": object{"poolId": "p1"}, "constraints": object{"maxWallClockTime": "PT1H", "maxTaskRetryCount": 0}, "metadata": pairs, "commonEnvironmentSettings": pairs,
		"onAllTasksComplete": "noaction", "onTaskFailure": "noaction", "usesTaskDependencies": true, "maxParallelTasks": -1,
	}
	task := object{
		"id": "x1", "displayName": "d", "commandLine": "true", "environmentSettings": pairs, "constraints": object{"maxWallClockTime": "PT1H", "retentionTime": "PT1H", "maxTaskRetryCount": 0}, "requiredSlots": 1,
		"userIdentity": object{"username": "u"}, "affinityInfo": object{"affinityId": "a"}, "dependsOn": object{"taskIds": []string{"a"}, "taskIdRanges": []object{{"start": 1, "end": 2}}},
		"exitConditions": object{"exitCodes": []object{{"code": 1, "exitOptions": object{"dependencyAction": "satisfy"}}}}, "resourceFiles": []object{{"httpUrl": "https://x.invalid/a", "filePath": "a", "fileMode": "0644"}},
	}
	const taskFiles, nodeFiles = "/jobs/{job}/tasks/{task}/files", "/pools/{pool}/nodes/{node}/files"
	token, host := w.bearer("https://batch.core.windows.net/"), strings.TrimPrefix(w.data, "https://")
	var out []target
	for _, row := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/pools", pool},
		{"GET", "/pools", nil},
		{"GET", "/pools/{pool}", nil},
		{"HEAD", "/pools/{pool}", nil},
		{"PATCH", "/pools/{gone}", object{"metadata": pairs, "displayName": "d"}},
		{"DELETE", "/pools/{gone}", nil},
		{"POST", "/pools/{gone}/updateproperties", object{"certificateReferences": []object{}, "applicationPackageReferences": []object{}, "metadata": pairs}},
		{"POST", "/pools/{gone}/resize", object{"targetDedicatedNodes": 0, "resizeTimeout": "PT5M", "nodeDeallocationOption": "requeue"}},
		{"POST", "/pools/{gone}/stopresize", nil},
		{"POST", "/pools/{gone}/removenodes", object{"nodeList": []string{"a"}, "resizeTimeout": "PT5M", "nodeDeallocationOption": "requeue"}},
		{"POST", "/pools/{gone}/disableautoscale", nil},
		{"GET", "/nodecounts", nil},
		{"GET", "/supportedimages", nil},
		{"GET", "/pools/{pool}/nodes", nil},
		{"GET", "/pools/{pool}/nodes/{node}", nil},
		{"POST", "/pools/{pool}/nodes/{gone}/reboot", object{"nodeRebootOption": "requeue"}},
		{"POST", "/pools/{pool}/nodes/{gone}/reimage", object{"nodeReimageOption": "requeue"}},
		{"POST", "/pools/{pool}/nodes/{gone}/disablescheduling", object{"nodeDisableSchedulingOption": "requeue"}},
		{"POST", "/pools/{pool}/nodes/{node}/enablescheduling", nil},
		{"POST", "/pools/{pool}/enableautoscale", object{"autoScaleFormula": "$x=1"}},
		{"POST", "/jobs", job},
		{"GET", "/jobs", nil},
		{"GET", "/jobs/{job}", nil},
		{"PATCH", "/jobs/{job}", object{"priority": 1, "constraints": object{"maxWallClockTime": "PT1H"}, "metadata": pairs}},
		{"PUT", "/jobs/{job}", object{"poolInfo": object{"poolId": "p1"}, "priority": 1}},
		{"DELETE", "/jobs/{gone}", nil},
		{"POST", "/jobs/{job}/disable", object{"disableTasks": "wait"}},
		{"POST", "/jobs/{gone}/enable", nil},
		{"POST", "/jobs/{gone}/terminate", object{"terminateReason": "r"}},
		{"GET", "/jobs/{job}/taskcounts", nil},
		{"POST", "/jobs/{job}/tasks", task},
		{"POST", "/jobs/{job}/addtaskcollection", object{"value": []object{{"id": "x2", "commandLine": "true"}, {"id": "x3", "commandLine": "true", "environmentSettings": pairs}}}},
		{"GET", "/jobs/{job}/tasks", nil},
		{"GET", "/jobs/{job}/tasks/{task}", nil},
		{"PUT", "/jobs/{job}/tasks/{task}", object{"constraints": object{"maxTaskRetryCount": 1}}},
		{"DELETE", "/jobs/{job}/tasks/{gone}", nil},
		{"POST", "/jobs/{job}/tasks/{gone}/terminate", nil},
		{"POST", "/jobs/{job}/tasks/{gone}/reactivate", nil},
		{"GET", taskFiles, nil},
		{"GET", taskFiles + "/{file}", nil},
		{"HEAD", taskFiles + "/{file}", nil},
		{"DELETE", taskFiles + "/{gone}", nil},
		{"GET", nodeFiles, nil},
		{"GET", nodeFiles + "/{file}", nil},
		{"HEAD", nodeFiles + "/{file}", nil},
		{"DELETE", nodeFiles + "/{gone}", nil},
		{"POST", "/certificates", object{"thumbprint": "0123456789012345678901234567890123456789", "thumbprintAlgorithm": "sha1", "data": "AAAA", "certificateFormat": "pfx", "password": "p"}},
		{"GET", "/certificates", nil},
		{"GET", "/certificates(thumbprintAlgorithm={alg},thumbprint={print})", nil},
		{"DELETE", "/certificates(thumbprintAlgorithm={alg},thumbprint={print})", nil},
		{"POST", "/certificates(thumbprintAlgorithm={alg},thumbprint={print})/canceldelete", nil},
		{"GET", "/jobschedules/{gone}", nil},
		{"GET", "/applications/{gone}", nil},
	} {
		t := target{door: "batch", host: host, token: token, method: row.method, path: row.path, query: dataVersion, body: row.body, at: map[string]string{}}
		for name, v := range at {
			if strings.Contains(row.path, "{"+name+"}") {
				t.at[name] = v
			}
		}
		out = append(out, t)
	}
	return out
}

// routes are those of all doors, from their own tables.
func routes() (out []struct{ door, pattern string }) {
	for door, h := range map[string]http.Handler{
		"management": armapi.New(armapi.Config{}), "vault": vaultapi.New(vaultapi.Config{}), "batch": batchapi.New(batchapi.Config{}),
		"login": tokenapi.New(tokenapi.Config{}), "graph": graphapi.New(graphapi.Config{}),
	} {
		for _, pattern := range h.(interface{ Routes() []string }).Routes() {
			out = append(out, struct{ door, pattern string }{door, pattern})
		}
	}
	slices.SortFunc(out, func(a, b struct{ door, pattern string }) int {
		return strings.Compare(a.door+a.pattern, b.door+b.pattern)
	})
	return out
}

var routeName = regexp.MustCompile(`\{(\w+)(\.\.\.)?\}`)

// remaining makes plain targets of the routes that have no target of their own.
func (w *world) remaining(have []target) []target {
	w.t.Helper()
	anonymous := func(pattern string) string { return strings.ToLower(routeName.ReplaceAllString(pattern, "{}")) }
	known := map[string]bool{}
	hosts := map[string]target{}
	for _, t := range have {
		if t.plain == "" {
			known[t.door+anonymous(t.method+" "+t.path)] = true
			hosts[t.door] = t
		}
	}
	fixed := map[string]string{"sub": w.SubscriptionID, "group": "g1", "tenant": w.TenantID, "location": "westus2", "scope": "subscriptions/" + w.SubscriptionID}
	var out []target
	for _, route := range routes() {
		if known[route.door+anonymous(route.pattern)] {
			continue
		}
		t := hosts[route.door]
		t.method, t.path, _ = strings.Cut(routeName.ReplaceAllString(route.pattern, "{$1}"), " ")
		t.at, t.body = map[string]string{}, nil
		if t.method == "PUT" || t.method == "PATCH" || t.method == "POST" {
			t.body = object{"properties": object{}}
			if route.door == "vault" {
				t.body = object{
					"alg": "RSA-OAEP", "value": "AAAA", "digest": "AAAA", "target": "x", "count": 1,
					"key": object{"kty": "RSA", "n": "AAAA", "e": "AQAB", "d": "AAAA", "p": "AAAA", "q": "AAAA"},
				}
			}
		}
		for _, m := range routeName.FindAllStringSubmatch(route.pattern, -1) {
			t.at[m[1]] = fixed[m[1]]
			switch {
			case m[1] == "key" && route.door == "batch":
				t.at[m[1]] = "thumbprintAlgorithm=sha1,thumbprint=0123456789012345678901234567890123456789"
			case t.at[m[1]] == "":
				t.at[m[1]] = "never1"
			}
		}
		out = append(out, t)
	}
	return out
}

// otherTargets are those of sign-in and of the directory.
func (w *world) otherTargets() []target {
	form := "grant_type=client_credentials&client_id=" + w.ClientID + "&client_secret=wrong&scope=https%3A%2F%2Fvault.azure.net%2F.default"
	const login = "login.microsoftonline.com"
	var out []target
	for _, path := range []string{
		"/{tenant}/.well-known/openid-configuration", "/{tenant}/v2.0/.well-known/openid-configuration", "/{tenant}/discovery/keys", "/{tenant}/discovery/v2.0/keys", "/{tenant}/discovery/instance", "/{tenant}/userrealm/{user}",
		"/{tenant}/oauth2/authorize",
	} {
		out = append(out, target{door: "login", host: login, method: "GET", path: path, query: "api-version=1.1", at: map[string]string{"tenant": w.TenantID}})
	}
	for _, path := range []string{"/{tenant}/oauth2/v2.0/token", "/{tenant}/oauth2/token", "/{tenant}/oauth2/v2.0/devicecode"} {
		out = append(out, target{door: "login", host: login, method: "POST", path: path, query: "x=y", at: map[string]string{"tenant": w.TenantID}, body: form})
	}
	token := w.bearer("https://graph.microsoft.com")
	for _, path := range []string{
		"/v1.0/me", "/v1.0/servicePrincipals", "/v1.0/servicePrincipals/{id}", "/v1.0/servicePrincipals(appId='{app}')", "/v1.0/applications", "/v1.0/applications/{id}", "/v1.0/applications(appId='{app}')",
		"/v1.0/users", "/v1.0/users/{id}", "/v1.0/groups/{id}", "/v1.0/directoryObjects/{id}", "/v1.0/organization", "/beta/servicePrincipals",
	} {
		t := target{door: "graph", host: "graph.microsoft.com", token: token, method: "GET", path: path, query: "$top=5", at: map[string]string{}}
		for name, v := range map[string]string{"id": w.principal, "app": w.ClientID} {
			if strings.Contains(path, "{"+name+"}") {
				t.at[name] = v
			}
		}
		out = append(out, t)
	}
	// The plain listener: managed identities, what latchkey's own commands ask, pages.
	creds, err := server.Layout(w.Data).Credentials()
	if err != nil {
		w.t.Fatal(err)
	}
	plain := target{door: "login", host: w.Portal, plain: w.Portal, method: "GET", query: "api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net", at: map[string]string{"grant": "gone1"}}
	for _, path := range []string{"/identity/{grant}/token", "/identity/{grant}/metadata/identity/oauth2/token"} {
		plain.path, plain.method, plain.body = path, "GET", nil
		out = append(out, plain)
		plain.method, plain.body = "POST", "resource=https%3A%2F%2Fvault.azure.net"
		out = append(out, plain)
	}
	out = append(out, target{door: "management", host: w.Portal, plain: w.Portal, token: creds.ClientSecret, method: "POST", path: "/local/identity", query: "x=y", body: object{"identity": "id1"}})
	for _, path := range []string{"/", "/style.css", "/healthz", "/readyz", "/metadata/identity/oauth2/token", "/{page}"} {
		out = append(out, target{door: "portal", host: w.Portal, plain: w.Portal, method: "GET", path: path, query: "x=y", at: map[string]string{"page": "x"}})
	}
	return append(out, target{door: "graph", host: "graph.microsoft.com", token: token, method: "POST", path: "/v1.0/directoryObjects/getByIds", query: "x=y", body: object{"ids": []string{w.principal}, "types": []string{"servicePrincipal"}}})
}
