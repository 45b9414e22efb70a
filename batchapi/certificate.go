package batchapi

import (
	"net/http"
	"strings"

	"latchkey/batch"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

func (d *Door) certificateRoutes() {
	d.door.Handle("POST /certificates", d.addCertificate)
	d.door.Handle("GET /certificates", d.listCertificates)
	d.door.Handle("GET /certificates({key})", d.getCertificate)
	d.door.Handle("DELETE /certificates({key})", d.deleteCertificate)
	d.door.Handle("POST /certificates({key})/canceldelete", d.cancelCertificateDelete)
}

// certificateOut is a certificate as it travels to clients.
type certificateOut struct {
	Thumbprint   string       `json:"thumbprint"`
	Algorithm    string       `json:"thumbprintAlgorithm"`
	URL          string       `json:"url"`
	State        string       `json:"state"`
	StateTime    timestamp    `json:"stateTransitionTime"`
	Previous     string       `json:"previousState,omitempty"`
	PreviousTime timestamp    `json:"previousStateTransitionTime,omitzero"`
	PublicData   string       `json:"publicData"`
	DeleteError  *deleteError `json:"deleteCertificateError,omitempty"`
}

type deleteError struct {
	Code    string      `json:"code"`
	Message string      `json:"message"`
	Values  []nameValue `json:"values,omitempty"`
}

func certificatePath(thumbprint string) string {
	return "/certificates(thumbprintAlgorithm=sha1,thumbprint=" + thumbprint + ")"
}

func writeCertificate(base string, c batch.Certificate) certificateOut {
	out := certificateOut{
		Thumbprint: c.Thumbprint, Algorithm: c.Algorithm, URL: base + certificatePath(c.Thumbprint), State: c.State,
		StateTime: timestamp(c.StateAt), Previous: c.Previous, PreviousTime: timestamp(c.PreviousAt), PublicData: c.PublicData,
	}
	if e := c.DeleteError; e != nil {
		out.DeleteError = &deleteError{e.Code, e.Message, pairsOut(e.Details)}
	}
	return out
}

// thumbprint reads the key in parentheses: thumbprintAlgorithm=sha1,thumbprint=abc.
func thumbprint(r *http.Request) (string, error) {
	var algorithm, print string
	for part := range strings.SplitSeq(r.PathValue("key"), ",") {
		name, value, _ := strings.Cut(part, "=")
		value = strings.Trim(strings.TrimSpace(value), "'")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "thumbprintalgorithm":
			algorithm = value
		case "thumbprint":
			print = value
		}
	}
	if print == "" || !strings.EqualFold(algorithm, "sha1") {
		return "", fault.InvalidURI.New("A certificate is named as thumbprintAlgorithm=sha1,thumbprint=THUMBPRINT.")
	}
	return print, nil
}

func (d *Door) addCertificate(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in struct {
		Thumbprint string `json:"thumbprint"`
		Algorithm  string `json:"thumbprintAlgorithm"`
		Data       string `json:"data"`
		Format     string `json:"certificateFormat"`
		Password   string `json:"password"`
	}
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	c, err := d.Batch.AddCertificate(r.Context(), who, account(r), batch.CertificateSpec(in))
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusCreated, certificatePath(c.Thumbprint), c.Modified), nil
}

func (d *Door) listCertificates(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct := account(r)
	return list(r, "certificates", func(c batch.Certificate) certificateOut { return writeCertificate(acct.URL, c) },
		func(l batch.List[batch.Certificate]) ([]batch.Certificate, string, error) {
			return d.Batch.Certificates(r.Context(), who, acct, l)
		})
}

func (d *Door) getCertificate(r *http.Request, who identity.Caller) (rest.Reply, error) {
	print, err := thumbprint(r)
	if err != nil {
		return rest.Reply{}, err
	}
	c, err := d.Batch.Certificate(r.Context(), who, account(r), print)
	if err != nil {
		return rest.Reply{}, err
	}
	return entity(r, "certificates", writeCertificate(account(r).URL, c), c.Modified)
}

func (d *Door) deleteCertificate(r *http.Request, who identity.Caller) (rest.Reply, error) {
	print, err := thumbprint(r)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := d.Batch.DeleteCertificate(r.Context(), who, account(r), print); err != nil {
		return rest.Reply{}, err
	}
	return rest.Status(http.StatusAccepted), nil
}

func (d *Door) cancelCertificateDelete(r *http.Request, who identity.Caller) (rest.Reply, error) {
	print, err := thumbprint(r)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := d.Batch.CancelCertificateDelete(r.Context(), who, account(r), print); err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusNoContent, certificatePath(print), 0), nil
}
