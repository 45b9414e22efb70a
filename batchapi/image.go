package batchapi

import (
	"net/http"

	"latchkey/batch"
	"latchkey/identity"
	"latchkey/rest"
)

func (d *Door) imageRoutes() { d.door.Handle("GET /supportedimages", d.supportedImages) }

type supportedImage struct {
	NodeAgent    string   `json:"nodeAgentSKUId"`
	Image        image    `json:"imageReference"`
	OSType       string   `json:"osType"`
	Capabilities []string `json:"capabilities,omitempty"`
	Verification string   `json:"verificationType"`
}

func (d *Door) supportedImages(r *http.Request, who identity.Caller) (rest.Reply, error) {
	write := func(i batch.SupportedImage) supportedImage {
		return supportedImage{i.NodeAgent, imageOut(i.Image), i.OSType, i.Capabilities, "verified"}
	}
	return list(r, "supportedimages", write, func(l batch.List[batch.SupportedImage]) ([]batch.SupportedImage, string, error) {
		images, err := d.Batch.SupportedImages(r.Context(), who, account(r), l.Keep)
		return images, "", err
	})
}
