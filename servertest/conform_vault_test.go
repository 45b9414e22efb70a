package servertest_test

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every operation of Key Vault's data plane that this service has answers as the
// documents say.
func TestKeysAnswerAsTheirDocumentsSay(t *testing.T) {
	t.Parallel()
	const at = "keyvault/data-plane/Microsoft.KeyVault/stable/"
	conforming(t, map[string][]string{"7.4": {at + "7.4/keys.json"}, "7.5": {at + "7.5/keys.json"}}, func(t *testing.T, a *api) {
		w := newWorld(t)
		w.makeVault()
		w.must(http.MethodPut, management+w.vault+"/accessPolicies/add?"+vaultsVersion, object{"properties": object{
			"accessPolicies": []object{w.policy(w.me(), "encrypt decrypt wrapKey unwrapKey")},
		}}, nil)
		c := &conformer{
			world: w, t: t, api: a, base: w.keys, done: map[string]int{}, values: map[string]string{"key-name": "key1"}, header: armHeader(),
			always: []string{"X-Ms-Request-Id", "X-Ms-Client-Request-Id", "X-Ms-Keyvault-Service-Version"},
			// The last page says so with a null, as Key Vault's do.
			allowed: anyOf("body.nextLink"),
		}
		var key struct{ Key struct{ KID string } }
		in := object{
			"kty": "RSA", "key_size": 2048, "public_exponent": 65537, "key_ops": []string{"encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify"},
			"attributes": object{"enabled": true, "nbf": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(time.Hour).Unix()}, "tags": object{"a": "b"},
		}
		c.ok("CreateKey", 200, in).read(t, &key)
		c.refused("CreateKey", 400, "BadParameter", object{"kty": "nonsense"})
		c.refused("CreateKey", 400, "BadParameter", in, "key-name", "no_good")
		c.values["key-version"] = key.Key.KID[strings.LastIndexByte(key.Key.KID, '/')+1:]
		c.ok("GetKey", 200, nil)
		c.ok("GetKey", 200, nil, "key-version", "")
		c.refused("GetKey", 404, "KeyNotFound", nil, "key-name", "nothere")
		c.ok("UpdateKey", 200, object{"key_ops": []string{"encrypt", "decrypt", "wrapKey", "unwrapKey"}, "attributes": object{"enabled": true}, "tags": object{"x": "y"}})
		c.refused("UpdateKey", 404, "KeyNotFound", object{"tags": object{}}, "key-name", "nothere")
		for range 2 {
			c.ok("CreateKey", 200, object{"kty": "RSA"}, "key-name", "key2")
		}
		c.ok("GetKeys", 200, nil)
		c.ok("GetKeys", 200, nil, "maxresults", "1")
		c.refused("GetKeys", 400, "BadParameter", nil, "maxresults", "0")
		c.ok("GetKeyVersions", 200, nil, "key-name", "key2", "maxresults", "1")
		c.ok("GetKeyVersions", 200, nil)
		secret := make([]byte, 32)
		rand.Read(secret)
		for _, pair := range [][2]string{{"encrypt", "decrypt"}, {"wrapKey", "unwrapKey"}} {
			for _, alg := range []string{"RSA-OAEP-256", "RSA-OAEP", "RSA1_5"} {
				var out struct{ Value string }
				c.ok(pair[0], 200, object{"alg": alg, "value": base64.RawURLEncoding.EncodeToString(secret)}).read(t, &out)
				sealed := out.Value
				c.ok(pair[1], 200, object{"alg": alg, "value": sealed}).read(t, &out)
				if out.Value != base64.RawURLEncoding.EncodeToString(secret) {
					t.Errorf("%s of %s with %s is not what went in", pair[1], pair[0], alg)
				}
			}
			c.refused(pair[0], 400, "BadParameter", object{"alg": "A128KW", "value": "AAAA"})
			c.refused(pair[1], 400, "BadParameter", object{"alg": "RSA-OAEP", "value": "AAAA"})
		}
		c.ok("DeleteKey", 200, nil)
		c.refused("DeleteKey", 404, "KeyNotFound", nil, "key-name", "nothere")
		c.ok("GetDeletedKeys", 200, nil)
		c.ok("GetDeletedKey", 200, nil)
		c.refused("GetDeletedKey", 404, "KeyNotFound", nil, "key-name", "nothere")
		c.refused("CreateKey", 409, "Conflict", in)
		c.ok("RecoverDeletedKey", 200, nil)
		c.refused("RecoverDeletedKey", 404, "KeyNotFound", nil)
		c.ok("GetKey", 200, nil)
		// A vault with purge protection keeps its keys, so another one is needed.
		c.refused("PurgeDeletedKey", 404, "KeyNotFound", nil)
		c.ok("DeleteKey", 200, nil, "key-name", "key2")
		c.refused("PurgeDeletedKey", 403, "Forbidden", nil, "key-name", "key2")
		open := w.group + "/providers/Microsoft.KeyVault/vaults/open" + c.base[9:17]
		w.must(http.MethodPut, management+open+"?"+vaultsVersion, object{"location": "westus2", "properties": object{
			"tenantId": w.TenantID, "sku": object{"family": "A", "name": "standard"}, "accessPolicies": []object{w.policy(w.me(), "all")},
		}}, nil)
		c.base = "https://open" + c.base[9:17] + ".vault.azure.net"
		c.ok("CreateKey", 200, object{"kty": "RSA"})
		c.ok("DeleteKey", 200, nil)
		c.ok("PurgeDeletedKey", 204, nil)
		c.rest(map[string]string{
			"RotateKey": "MethodNotAllowed", "ImportKey": "MethodNotAllowed", "BackupKey": "MethodNotAllowed", "RestoreKey": "MethodNotAllowed", "sign": "ResourceNotFound", "verify": "ResourceNotFound",
			"release": "ResourceNotFound", "GetKeyRotationPolicy": "KeyNotFound", "UpdateKeyRotationPolicy": "MethodNotAllowed", "GetRandomBytes": "ResourceNotFound",
		})
	})
}
