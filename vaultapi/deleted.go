package vaultapi

import (
	"net/http"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

func (d *Door) deletedRoutes() {
	d.handle("GET /deletedkeys", d.deletedKeys)
	d.handle("GET /deletedkeys/{key}", d.deletedKey)
	d.handle("DELETE /deletedkeys/{key}", d.purgeKey)
	d.handle("POST /deletedkeys/{key}/recover", d.recoverKey)
}

func (d *Door) deletedKeys(r *http.Request, who identity.Caller) (rest.Reply, error) {
	page, err := pageIn(r)
	if err != nil {
		return rest.Reply{}, err
	}
	list, err := d.Vaults.DeletedKeys(r.Context(), who, d.vault(r), page)
	if err != nil {
		return rest.Reply{}, err
	}
	out := make([]any, 0, len(list.Keys))
	for _, key := range list.Keys {
		out = append(out, deletedItemOut{deletion(key), item(key.Version)})
	}
	return d.list(r, out, list.Next), nil
}

func (d *Door) deletedKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	key, err := d.Vaults.DeletedKey(r.Context(), who, d.ref(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(deletedOut{deletion(key), bundle(key.Version)}), nil
}

func (d *Door) recoverKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	key, err := d.Vaults.RecoverKey(r.Context(), who, d.ref(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(bundle(key)), nil
}

func (d *Door) purgeKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	if err := d.Vaults.PurgeKey(r.Context(), who, d.ref(r)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Status(http.StatusNoContent), nil
}

// otherRoutes answer for what these vaults do not hold: no secret and no certificate
// is ever found.
func (d *Door) otherRoutes() {
	d.handle("GET /secrets/{rest...}", d.none(fault.SecretNotFound, "secret"))
	d.handle("GET /certificates/{rest...}", d.none(fault.CertNotFound, "certificate"))
	d.handle("GET /certificates/contacts", func(r *http.Request, who identity.Caller) (rest.Reply, error) {
		if err := d.Vaults.Known(r.Context(), who, d.vault(r)); err != nil {
			return rest.Reply{}, err
		}
		return rest.Reply{}, fault.CertNotFound.New("Contacts not found")
	})
}

func (d *Door) none(code *fault.Code, what string) rest.Handler {
	return func(r *http.Request, who identity.Caller) (rest.Reply, error) {
		if err := d.Vaults.Known(r.Context(), who, d.vault(r)); err != nil {
			return rest.Reply{}, err
		}
		return rest.Reply{}, code.New("A %s with (name/id) %s was not found in this key vault. If you recently deleted this %s you may be able to "+
			"recover it using the correct recovery command. For help resolving this issue, please see "+
			"https://go.microsoft.com/fwlink/?linkid=2125182", what, r.PathValue("rest"), what)
	}
}
