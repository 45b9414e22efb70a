package servertest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
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
		c.ok("GetKeys", 200, nil)
		c.moreOfKeys()
		c.rest(map[string]string{"release": "BadParameter"})
	})
}

// moreOfKeys are the operations beside those that customer-managed keys need.
func (c *conformer) moreOfKeys() {
	c.t.Helper()
	var key struct{ Key struct{ KID string } }
	c.ok("CreateKey", 200, object{"kty": "RSA", "key_ops": []string{"sign", "verify"}}, "key-name", "key3").read(c.t, &key)
	c.ok("CreateKey", 200, object{"kty": "EC", "crv": "P-256"}, "key-name", "key4")
	at := []string{"key-name", "key3", "key-version", key.Key.KID[strings.LastIndexByte(key.Key.KID, '/')+1:]}
	digest := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	var signed struct{ Value any }
	c.ok("sign", 200, object{"alg": "PS256", "value": digest}, at...).read(c.t, &signed)
	c.refused("sign", 400, "BadParameter", object{"alg": "nonsense", "value": digest}, at...)
	c.ok("verify", 200, object{"alg": "PS256", "digest": digest, "value": signed.Value}, at...).read(c.t, &signed)
	if signed.Value != true {
		c.t.Errorf("a signature is not its own: %v", signed.Value)
	}
	c.refused("verify", 404, "KeyNotFound", object{"alg": "PS256", "digest": digest, "value": "AAAA"}, "key-name", "nothere")
	c.ok("RotateKey", 200, nil, "key-name", "key3")
	c.refused("RotateKey", 404, "KeyNotFound", nil, "key-name", "nothere")
	c.ok("GetKeyRotationPolicy", 200, nil, "key-name", "key3")
	c.ok("UpdateKeyRotationPolicy", 200, object{
		"lifetimeActions": []object{{"trigger": object{"timeAfterCreate": "P90D"}, "action": object{"type": "Rotate"}}}, "attributes": object{"expiryTime": "P2Y"},
	}, "key-name", "key3")
	c.ok("GetKeyRotationPolicy", 200, nil, "key-name", "key3")
	c.refused("UpdateKeyRotationPolicy", 400, "BadParameter", object{"attributes": object{"expiryTime": "tomorrow"}}, "key-name", "key3")
	var backup struct{ Value string }
	c.ok("BackupKey", 200, nil, "key-name", "key3").read(c.t, &backup)
	c.refused("RestoreKey", 409, "Conflict", object{"value": backup.Value})
	c.ok("DeleteKey", 200, nil, "key-name", "key3")
	c.ok("PurgeDeletedKey", 204, nil, "key-name", "key3")
	c.ok("RestoreKey", 200, object{"value": backup.Value})
	c.refused("RestoreKey", 400, "BadParameter", object{"value": "AAAA"})
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		c.t.Fatal(err)
	}
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	c.ok("ImportKey", 200, object{"key": object{
		"kty": "RSA", "key_ops": []string{"wrapKey"}, "n": number(private.N), "e": number(big.NewInt(int64(private.E))), "d": number(private.D), "p": number(private.Primes[0]), "q": number(private.Primes[1]),
		"dp": number(private.Precomputed.Dp), "dq": number(private.Precomputed.Dq), "qi": number(private.Precomputed.Qinv),
	}, "tags": object{"a": "b"}}, "key-name", "key5")
	c.refused("ImportKey", 400, "BadParameter", object{"key": object{"kty": "RSA", "n": "AAAA"}}, "key-name", "key6")
	c.ok("GetRandomBytes", 200, object{"count": 32})
	c.refused("GetRandomBytes", 400, "BadParameter", object{"count": 1000})
}
