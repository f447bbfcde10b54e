package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// opening is the first message of one of SIPp's scenarios, for loads that SIPp cannot make.
type opening struct{ template string }

func (l *lab) opening(scenario string) (opening, error) {
	text, err := os.ReadFile(l.scenario(scenario))
	if err != nil {
		return opening{}, err
	}
	return parseOpening(string(text), l.callerPort())
}

// parseOpening fills in all of SIPp's keywords but the number of the call.
func parseOpening(scenario string, port int) (opening, error) {
	_, rest, ok := strings.Cut(scenario, "<![CDATA[\n")
	text, _, ok2 := strings.Cut(rest, "]]>")
	head, body, ok3 := strings.Cut(text, "\n\n")
	if !ok || !ok2 || !ok3 {
		return opening{}, fmt.Errorf("no message in a scenario: %q", scenario)
	}
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	fill := strings.NewReplacer("[transport]", "UDP", "[local_ip]", "127.0.0.1", "[local_port]", strconv.Itoa(port),
		"[local_ip_type]", "4", "[media_ip_type]", "4", "[media_ip]", "127.0.0.1", "[media_port]", "6000",
		"[pid]", "1", "[branch]", "z9hG4bK-1-[call_number]-0", "[call_id]", "[call_number]-1@127.0.0.1")
	body = fill.Replace(crlf(body))
	head = strings.ReplaceAll(fill.Replace(crlf(head)), "[len]", strconv.Itoa(len(body)))
	return opening{head + "\r\n\r\n" + body}, nil
}

// message is the opening of call n.
func (o opening) message(n int) []byte {
	return []byte(strings.ReplaceAll(o.template, "[call_number]", strconv.Itoa(n)))
}

// response reads the number of the call that a response belongs to, and its status.
func response(data []byte) (n, status int, ok bool) {
	rest, isResponse := bytes.CutPrefix(data, []byte("SIP/2.0 "))
	_, id, hasID := bytes.Cut(rest, []byte("\nCall-ID:"))
	number, _, isOurs := bytes.Cut(bytes.TrimLeft(id, " "), []byte("-"))
	if !isResponse || !hasID || !isOurs || len(rest) < 3 {
		return 0, 0, false
	}
	n, err1 := strconv.Atoi(string(number))
	status, err2 := strconv.Atoi(string(rest[:3]))
	return n, status, err1 == nil && err2 == nil
}

// ringing is a phone's 180 to a request.
func ringing(request []byte) []byte {
	out := []byte("SIP/2.0 180 Ringing\r\n")
	head, _, _ := bytes.Cut(request, []byte("\r\n\r\n"))
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch strings.TrimSpace(string(name)) {
		case "To":
			out = append(append(out, line...), ";tag=ringing\r\n"...)
		case "Via", "Record-Route", "From", "Call-ID", "CSeq":
			out = append(append(out, line...), "\r\n"...)
		}
	}
	return append(out, "Content-Length: 0\r\n\r\n"...)
}
