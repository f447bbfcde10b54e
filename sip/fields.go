package sip

// The names of header fields in their long form (IANA registry). Every function that takes a name takes the compact form and
// any case too. They are untyped, so that names which are not here can be used in the same places.
const (
	Accept                     = "Accept"
	AcceptContact              = "Accept-Contact"
	AcceptEncoding             = "Accept-Encoding"
	AcceptLanguage             = "Accept-Language"
	AcceptResourcePriority     = "Accept-Resource-Priority"
	AlertInfo                  = "Alert-Info"
	Allow                      = "Allow"
	AllowEvents                = "Allow-Events"
	AnswerMode                 = "Answer-Mode"
	AuthenticationInfo         = "Authentication-Info"
	Authorization              = "Authorization"
	CallID                     = "Call-ID"
	CallInfo                   = "Call-Info"
	Contact                    = "Contact"
	ContentDisposition         = "Content-Disposition"
	ContentEncoding            = "Content-Encoding"
	ContentID                  = "Content-ID"
	ContentLanguage            = "Content-Language"
	ContentLength              = "Content-Length"
	ContentType                = "Content-Type"
	CSeq                       = "CSeq"
	Date                       = "Date"
	Diversion                  = "Diversion"
	Encryption                 = "Encryption"
	ErrorInfo                  = "Error-Info"
	Event                      = "Event"
	Expires                    = "Expires"
	FeatureCaps                = "Feature-Caps"
	FlowTimer                  = "Flow-Timer"
	From                       = "From"
	Geolocation                = "Geolocation"
	GeolocationError           = "Geolocation-Error"
	GeolocationRouting         = "Geolocation-Routing"
	HistoryInfo                = "History-Info"
	Identity                   = "Identity"
	IdentityInfo               = "Identity-Info"
	InfoPackage                = "Info-Package"
	InReplyTo                  = "In-Reply-To"
	Join                       = "Join"
	MaxBreadth                 = "Max-Breadth"
	MaxForwards                = "Max-Forwards"
	MIMEVersion                = "MIME-Version"
	MinExpires                 = "Min-Expires"
	MinSE                      = "Min-SE"
	Organization               = "Organization"
	PAccessNetworkInfo         = "P-Access-Network-Info"
	PAnswerState               = "P-Answer-State"
	PAssertedIdentity          = "P-Asserted-Identity"
	PAssertedService           = "P-Asserted-Service"
	PAssociatedURI             = "P-Associated-URI"
	Path                       = "Path"
	PCalledPartyID             = "P-Called-Party-ID"
	PChargingFunctionAddresses = "P-Charging-Function-Addresses"
	PChargingVector            = "P-Charging-Vector"
	PDCSTracePartyID           = "P-DCS-Trace-Party-ID"
	PEarlyMedia                = "P-Early-Media"
	PermissionMissing          = "Permission-Missing"
	PMediaAuthorization        = "P-Media-Authorization"
	PolicyContact              = "Policy-Contact"
	PolicyID                   = "Policy-ID"
	PPreferredIdentity         = "P-Preferred-Identity"
	PPreferredService          = "P-Preferred-Service"
	PProfileKey                = "P-Profile-Key"
	PRefusedURIList            = "P-Refused-URI-List"
	Priority                   = "Priority"
	Privacy                    = "Privacy"
	PrivAnswerMode             = "Priv-Answer-Mode"
	ProxyAuthenticate          = "Proxy-Authenticate"
	ProxyAuthenticationInfo    = "Proxy-Authentication-Info"
	ProxyAuthorization         = "Proxy-Authorization"
	ProxyRequire               = "Proxy-Require"
	PServedUser                = "P-Served-User"
	PUserDatabase              = "P-User-Database"
	PVisitedNetworkID          = "P-Visited-Network-ID"
	RAck                       = "RAck"
	Reason                     = "Reason"
	RecordRoute                = "Record-Route"
	RecvInfo                   = "Recv-Info"
	ReferredBy                 = "Referred-By"
	ReferSub                   = "Refer-Sub"
	ReferTo                    = "Refer-To"
	RejectContact              = "Reject-Contact"
	RemotePartyID              = "Remote-Party-ID"
	Replaces                   = "Replaces"
	ReplyTo                    = "Reply-To"
	RequestDisposition         = "Request-Disposition"
	Require                    = "Require"
	ResourcePriority           = "Resource-Priority"
	ResponseKey                = "Response-Key"
	RetryAfter                 = "Retry-After"
	Route                      = "Route"
	RSeq                       = "RSeq"
	SecurityClient             = "Security-Client"
	SecurityServer             = "Security-Server"
	SecurityVerify             = "Security-Verify"
	Server                     = "Server"
	ServiceRoute               = "Service-Route"
	SessionExpires             = "Session-Expires"
	SessionID                  = "Session-ID"
	SIPETag                    = "SIP-ETag"
	SIPIfMatch                 = "SIP-If-Match"
	Subject                    = "Subject"
	SubscriptionState          = "Subscription-State"
	Supported                  = "Supported"
	SuppressIfMatch            = "Suppress-If-Match"
	TargetDialog               = "Target-Dialog"
	Timestamp                  = "Timestamp"
	To                         = "To"
	TriggerConsent             = "Trigger-Consent"
	Unsupported                = "Unsupported"
	UserAgent                  = "User-Agent"
	UserToUser                 = "User-to-User"
	Via                        = "Via"
	Warning                    = "Warning"
	WWWAuthenticate            = "WWW-Authenticate"
)

// field numbers the known header fields. other is every field that is not known. Those that every message has come first, then those that may stand only once, so that a set of these fits 64 bits.
type field uint8

const (
	other field = iota
	fieldVia
	fieldFrom
	fieldTo
	fieldCallID
	fieldCSeq
	fieldMaxForwards
	fieldContentLength
	fieldContentType
	fieldExpires
	fieldMaxBreadth
	fieldMinExpires
	fieldEvent
	fieldSubscriptionState
	fieldReferTo
	fieldReferredBy
	fieldReferSub
	fieldReplaces
	fieldJoin
	fieldTargetDialog
	fieldRSeq
	fieldRAck
	fieldSessionExpires
	fieldMinSE
	fieldSIPETag
	fieldSIPIfMatch
	fieldRetryAfter
	fieldTimestamp
	fieldDate
	fieldContentDisposition
	fieldFlowTimer
	fieldMIMEVersion
	fieldPCalledPartyID
	fieldPServedUser
	fieldSessionID
	fieldContact
	fieldRoute
	fieldRecordRoute
	fieldRequire
	fieldProxyRequire
	fieldSupported
	fieldUnsupported
	fieldAllow
	fieldUserAgent
	fieldServer
	fieldAuthorization
	fieldProxyAuthorization
	fieldWWWAuthenticate
	fieldProxyAuthenticate
	fieldAuthenticationInfo
	fieldProxyAuthenticationInfo
	fieldPath
	fieldServiceRoute
	fieldAccept
	fieldAcceptContact
	fieldAcceptEncoding
	fieldAcceptLanguage
	fieldAcceptResourcePriority
	fieldAlertInfo
	fieldAllowEvents
	fieldAnswerMode
	fieldCallInfo
	fieldContentEncoding
	fieldContentID
	fieldContentLanguage
	fieldDiversion
	fieldEncryption
	fieldErrorInfo
	fieldFeatureCaps
	fieldGeolocation
	fieldGeolocationError
	fieldGeolocationRouting
	fieldHistoryInfo
	fieldIdentity
	fieldIdentityInfo
	fieldInfoPackage
	fieldInReplyTo
	fieldOrganization
	fieldPAccessNetworkInfo
	fieldPAnswerState
	fieldPAssertedIdentity
	fieldPAssertedService
	fieldPAssociatedURI
	fieldPChargingFunctionAddresses
	fieldPChargingVector
	fieldPDCSTracePartyID
	fieldPEarlyMedia
	fieldPMediaAuthorization
	fieldPPreferredIdentity
	fieldPPreferredService
	fieldPProfileKey
	fieldPRefusedURIList
	fieldPUserDatabase
	fieldPVisitedNetworkID
	fieldPermissionMissing
	fieldPolicyContact
	fieldPolicyID
	fieldPriority
	fieldPrivAnswerMode
	fieldPrivacy
	fieldReason
	fieldRecvInfo
	fieldRejectContact
	fieldRemotePartyID
	fieldReplyTo
	fieldRequestDisposition
	fieldResourcePriority
	fieldResponseKey
	fieldSecurityClient
	fieldSecurityServer
	fieldSecurityVerify
	fieldSubject
	fieldSuppressIfMatch
	fieldTriggerConsent
	fieldUserToUser
	fieldWarning
	fieldCount

	firstList = fieldContact // the first after those that may stand only once
)

// fieldInfo is what the parser knows about a header field.
type fieldInfo struct {
	name    string
	compact byte   // the compact form, or 0
	syntax  syntax // of the value, for Validate
	list    bool   // the value is a list, separated by commas
}

// isSingle reports whether a message with two of the field is refused.
func (f field) isSingle() bool { return f > fieldVia && f < firstList }

// fields is never written.
var fields = [fieldCount]fieldInfo{
	other:                           {list: true},
	fieldVia:                        {name: Via, syntax: viaSyntax, compact: 'v', list: true},
	fieldFrom:                       {name: From, syntax: addressSyntax, compact: 'f'},
	fieldTo:                         {name: To, syntax: addressSyntax, compact: 't'},
	fieldCallID:                     {name: CallID, syntax: callIDSyntax, compact: 'i'},
	fieldCSeq:                       {name: CSeq, syntax: cseqSyntax},
	fieldMaxForwards:                {name: MaxForwards, syntax: numberSyntax},
	fieldContentLength:              {name: ContentLength, syntax: numberSyntax, compact: 'l'},
	fieldContentType:                {name: ContentType, syntax: mediaTypeSyntax, compact: 'c'},
	fieldExpires:                    {name: Expires, syntax: numberSyntax},
	fieldMaxBreadth:                 {name: MaxBreadth, syntax: numberSyntax},
	fieldMinExpires:                 {name: MinExpires, syntax: numberSyntax},
	fieldEvent:                      {name: Event, syntax: eventSyntax, compact: 'o'},
	fieldSubscriptionState:          {name: SubscriptionState, syntax: eventSyntax},
	fieldReferTo:                    {name: ReferTo, syntax: addressSyntax, compact: 'r'},
	fieldReferredBy:                 {name: ReferredBy, syntax: addressSyntax, compact: 'b'},
	fieldReferSub:                   {name: ReferSub, syntax: eventSyntax},
	fieldReplaces:                   {name: Replaces, syntax: replacesSyntax},
	fieldJoin:                       {name: Join, syntax: replacesSyntax},
	fieldTargetDialog:               {name: TargetDialog, syntax: replacesSyntax},
	fieldRSeq:                       {name: RSeq, syntax: numberSyntax},
	fieldRAck:                       {name: RAck, syntax: rackSyntax},
	fieldSessionExpires:             {name: SessionExpires, syntax: deltaSyntax, compact: 'x'},
	fieldMinSE:                      {name: MinSE, syntax: deltaSyntax},
	fieldSIPETag:                    {name: SIPETag, syntax: tokenSyntax},
	fieldSIPIfMatch:                 {name: SIPIfMatch, syntax: tokenSyntax},
	fieldRetryAfter:                 {name: RetryAfter, syntax: retryAfterSyntax},
	fieldTimestamp:                  {name: Timestamp, syntax: timestampSyntax},
	fieldDate:                       {name: Date, syntax: dateSyntax},
	fieldContentDisposition:         {name: ContentDisposition, syntax: eventSyntax},
	fieldFlowTimer:                  {name: FlowTimer, syntax: numberSyntax},
	fieldMIMEVersion:                {name: MIMEVersion},
	fieldPCalledPartyID:             {name: PCalledPartyID, syntax: addressSyntax},
	fieldPServedUser:                {name: PServedUser, syntax: addressSyntax},
	fieldSessionID:                  {name: SessionID},
	fieldContact:                    {name: Contact, syntax: contactSyntax, compact: 'm', list: true},
	fieldRoute:                      {name: Route, syntax: addressesSyntax, list: true},
	fieldRecordRoute:                {name: RecordRoute, syntax: addressesSyntax, list: true},
	fieldRequire:                    {name: Require, syntax: tokensSyntax, list: true},
	fieldProxyRequire:               {name: ProxyRequire, syntax: tokensSyntax, list: true},
	fieldSupported:                  {name: Supported, syntax: tokens0Syntax, compact: 'k', list: true},
	fieldUnsupported:                {name: Unsupported, syntax: tokensSyntax, list: true},
	fieldAllow:                      {name: Allow, syntax: tokens0Syntax, list: true},
	fieldUserAgent:                  {name: UserAgent, syntax: productSyntax},
	fieldServer:                     {name: Server, syntax: productSyntax},
	fieldAuthorization:              {name: Authorization, syntax: credentialsSyntax},
	fieldProxyAuthorization:         {name: ProxyAuthorization, syntax: credentialsSyntax},
	fieldWWWAuthenticate:            {name: WWWAuthenticate, syntax: credentialsSyntax},
	fieldProxyAuthenticate:          {name: ProxyAuthenticate, syntax: credentialsSyntax},
	fieldAuthenticationInfo:         {name: AuthenticationInfo, syntax: authParamsSyntax},
	fieldProxyAuthenticationInfo:    {name: ProxyAuthenticationInfo, syntax: authParamsSyntax},
	fieldPath:                       {name: Path, syntax: addressesSyntax, list: true},
	fieldServiceRoute:               {name: ServiceRoute, syntax: addressesSyntax, list: true},
	fieldAccept:                     {name: Accept, syntax: acceptSyntax, list: true},
	fieldAcceptContact:              {name: AcceptContact, compact: 'a', list: true},
	fieldAcceptEncoding:             {name: AcceptEncoding, syntax: paramsSyntax, list: true},
	fieldAcceptLanguage:             {name: AcceptLanguage, syntax: paramsSyntax, list: true},
	fieldAcceptResourcePriority:     {name: AcceptResourcePriority, list: true},
	fieldAlertInfo:                  {name: AlertInfo, syntax: infosSyntax, list: true},
	fieldAllowEvents:                {name: AllowEvents, syntax: tokensSyntax, compact: 'u', list: true},
	fieldAnswerMode:                 {name: AnswerMode, syntax: eventSyntax},
	fieldCallInfo:                   {name: CallInfo, syntax: infosSyntax, list: true},
	fieldContentEncoding:            {name: ContentEncoding, syntax: tokensSyntax, compact: 'e', list: true},
	fieldContentID:                  {name: ContentID},
	fieldContentLanguage:            {name: ContentLanguage, syntax: tokensSyntax, list: true},
	fieldDiversion:                  {name: Diversion, syntax: addressesSyntax, list: true},
	fieldEncryption:                 {name: Encryption},
	fieldErrorInfo:                  {name: ErrorInfo, syntax: infosSyntax, list: true},
	fieldFeatureCaps:                {name: FeatureCaps, list: true},
	fieldGeolocation:                {name: Geolocation, list: true},
	fieldGeolocationError:           {name: GeolocationError, list: true},
	fieldGeolocationRouting:         {name: GeolocationRouting, syntax: eventSyntax},
	fieldHistoryInfo:                {name: HistoryInfo, syntax: addressesSyntax, list: true},
	fieldIdentity:                   {name: Identity, compact: 'y'},
	fieldIdentityInfo:               {name: IdentityInfo, compact: 'n'},
	fieldInfoPackage:                {name: InfoPackage, syntax: eventSyntax},
	fieldInReplyTo:                  {name: InReplyTo, syntax: callIDsSyntax, list: true},
	fieldOrganization:               {name: Organization},
	fieldPAccessNetworkInfo:         {name: PAccessNetworkInfo, list: true},
	fieldPAnswerState:               {name: PAnswerState},
	fieldPAssertedIdentity:          {name: PAssertedIdentity, syntax: addressesSyntax, list: true},
	fieldPAssertedService:           {name: PAssertedService, list: true},
	fieldPAssociatedURI:             {name: PAssociatedURI, syntax: addressesSyntax, list: true},
	fieldPChargingFunctionAddresses: {name: PChargingFunctionAddresses},
	fieldPChargingVector:            {name: PChargingVector},
	fieldPDCSTracePartyID:           {name: PDCSTracePartyID},
	fieldPEarlyMedia:                {name: PEarlyMedia, list: true},
	fieldPMediaAuthorization:        {name: PMediaAuthorization, list: true},
	fieldPPreferredIdentity:         {name: PPreferredIdentity, syntax: addressesSyntax, list: true},
	fieldPPreferredService:          {name: PPreferredService, list: true},
	fieldPProfileKey:                {name: PProfileKey},
	fieldPRefusedURIList:            {name: PRefusedURIList, list: true},
	fieldPUserDatabase:              {name: PUserDatabase},
	fieldPVisitedNetworkID:          {name: PVisitedNetworkID, list: true},
	fieldPermissionMissing:          {name: PermissionMissing, list: true},
	fieldPolicyContact:              {name: PolicyContact, list: true},
	fieldPolicyID:                   {name: PolicyID},
	fieldPriority:                   {name: Priority, syntax: tokenSyntax},
	fieldPrivAnswerMode:             {name: PrivAnswerMode, syntax: eventSyntax},
	fieldPrivacy:                    {name: Privacy},
	fieldReason:                     {name: Reason, syntax: paramsSyntax, list: true},
	fieldRecvInfo:                   {name: RecvInfo, list: true},
	fieldRejectContact:              {name: RejectContact, compact: 'j', list: true},
	fieldRemotePartyID:              {name: RemotePartyID, syntax: addressesSyntax, list: true},
	fieldReplyTo:                    {name: ReplyTo, syntax: addressSyntax},
	fieldRequestDisposition:         {name: RequestDisposition, compact: 'd', list: true},
	fieldResourcePriority:           {name: ResourcePriority, list: true},
	fieldResponseKey:                {name: ResponseKey},
	fieldSecurityClient:             {name: SecurityClient, syntax: paramsSyntax, list: true},
	fieldSecurityServer:             {name: SecurityServer, syntax: paramsSyntax, list: true},
	fieldSecurityVerify:             {name: SecurityVerify, syntax: paramsSyntax, list: true},
	fieldSubject:                    {name: Subject, compact: 's'},
	fieldSuppressIfMatch:            {name: SuppressIfMatch, syntax: tokenSyntax},
	fieldTriggerConsent:             {name: TriggerConsent, list: true},
	fieldUserToUser:                 {name: UserToUser, list: true},
	fieldWarning:                    {name: Warning, syntax: warningsSyntax, list: true},
}
