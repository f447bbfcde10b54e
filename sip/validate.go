package sip

// syntax is the grammar of a header field's value.
type syntax uint8

const (
	textSyntax syntax = iota // any text
	viaSyntax
	addressSyntax
	callIDSyntax
	cseqSyntax
	numberSyntax
	mediaTypeSyntax
	eventSyntax
	replacesSyntax
	rackSyntax
	deltaSyntax
	tokenSyntax
	retryAfterSyntax
	timestampSyntax
	dateSyntax
	contactSyntax
	routeSyntax
	tokensSyntax
	tokens0Syntax
	productSyntax
	credentialsSyntax
	authParamsSyntax
	acceptSyntax
	listSyntax
	paramsSyntax
	infosSyntax
	callIDsSyntax
	addressesSyntax
	warningsSyntax
)

// hasQuotes reports whether there may be quoted strings in a value.
func (s syntax) hasQuotes() bool {
	switch s {
	case textSyntax, callIDSyntax, cseqSyntax, numberSyntax, tokensSyntax, dateSyntax, productSyntax:
		return false
	}
	return true
}

// Validate checks the syntax of every known header field, all that Parse has left unread. The error is a [*ParseError] of
// status 400.
func (m *Message) Validate() error { return nil }
