package query

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strconv"
	"time"
)

// faultNamespace is that of answers which belong to no operation.
const faultNamespace = "http://webservices.amazon.com/AWSFault/2005-15-09"

// List is a list in an answer, of <member>s. A list without members is an empty element; a
// nil *List is none.
type List[T any] struct {
	Member []T `xml:"member"`
}

// ListOf returns a list of members.
func ListOf[T any](members ...T) *List[T] { return &List[T]{members} }

// Seconds is a time in an answer, in whole seconds.
func Seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Millis is a time in an answer, in milliseconds.
func Millis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

type response struct {
	XMLName   xml.Name
	Namespace string `xml:"xmlns,attr"`
	Result    *result
	RequestID string `xml:"ResponseMetadata>RequestId"`
}

// result is the element of an action's result, under its name.
type result struct {
	name  string
	value any
}

// MarshalXML implements xml.Marshaler.
func (r *result) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	return e.EncodeElement(r.value, xml.StartElement{Name: xml.Name{Local: r.name}})
}

type errorResponse struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

func writeResult(w http.ResponseWriter, call *Call, value any) {
	r := response{
		XMLName:   xml.Name{Local: call.Action + "Response"},
		Namespace: call.Service.Namespace,
		RequestID: call.ID,
	}
	if value != nil {
		r.Result = &result{call.Action + "Result", value}
	}
	write(w, http.StatusOK, r)
}

func writeError(w http.ResponseWriter, call *Call, err *Error) {
	r := errorResponse{Namespace: faultNamespace, Type: err.fault(), Code: err.Code, Message: err.Message, RequestID: call.ID}
	if call.Service != nil && err.Code != codeInvalidAction {
		r.Namespace = call.Service.Namespace
	}
	write(w, err.Status, r)
}

// write sends a document: two blanks a level, a newline at the end, no declaration.
func write(w http.ResponseWriter, status int, document any) {
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(document); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	b.WriteByte('\n')
	h := w.Header()
	h.Set("Content-Type", "text/xml")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
