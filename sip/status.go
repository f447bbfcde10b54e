package sip

// The response codes of the IANA registry (RFC 3261 section 21 and its extensions).
const (
	StatusTrying                = 100 // RFC 3261
	StatusRinging               = 180 // RFC 3261
	StatusCallIsBeingForwarded  = 181 // RFC 3261
	StatusQueued                = 182 // RFC 3261
	StatusSessionProgress       = 183 // RFC 3261
	StatusEarlyDialogTerminated = 199 // RFC 6228

	StatusOK             = 200 // RFC 3261
	StatusAccepted       = 202 // RFC 6665
	StatusNoNotification = 204 // RFC 5839

	StatusMultipleChoices    = 300 // RFC 3261
	StatusMovedPermanently   = 301 // RFC 3261
	StatusMovedTemporarily   = 302 // RFC 3261
	StatusUseProxy           = 305 // RFC 3261
	StatusAlternativeService = 380 // RFC 3261

	StatusBadRequest                   = 400 // RFC 3261
	StatusUnauthorized                 = 401 // RFC 3261
	StatusPaymentRequired              = 402 // RFC 3261
	StatusForbidden                    = 403 // RFC 3261
	StatusNotFound                     = 404 // RFC 3261
	StatusMethodNotAllowed             = 405 // RFC 3261
	StatusNotAcceptable                = 406 // RFC 3261
	StatusProxyAuthenticationRequired  = 407 // RFC 3261
	StatusRequestTimeout               = 408 // RFC 3261
	StatusGone                         = 410 // RFC 3261
	StatusConditionalRequestFailed     = 412 // RFC 3903
	StatusRequestEntityTooLarge        = 413 // RFC 3261
	StatusRequestURITooLong            = 414 // RFC 3261
	StatusUnsupportedMediaType         = 415 // RFC 3261
	StatusUnsupportedURIScheme         = 416 // RFC 3261
	StatusUnknownResourcePriority      = 417 // RFC 4412
	StatusBadExtension                 = 420 // RFC 3261
	StatusExtensionRequired            = 421 // RFC 3261
	StatusSessionIntervalTooSmall      = 422 // RFC 4028
	StatusIntervalTooBrief             = 423 // RFC 3261
	StatusBadLocationInformation       = 424 // RFC 6442
	StatusBadAlertMessage              = 425 // RFC 8876
	StatusUseIdentityHeader            = 428 // RFC 8224
	StatusProvideReferrerIdentity      = 429 // RFC 3892
	StatusFlowFailed                   = 430 // RFC 5626
	StatusAnonymityDisallowed          = 433 // RFC 5079
	StatusBadIdentityInfo              = 436 // RFC 8224
	StatusUnsupportedCredential        = 437 // RFC 8224
	StatusInvalidIdentityHeader        = 438 // RFC 8224
	StatusFirstHopLacksOutboundSupport = 439 // RFC 5626
	StatusMaxBreadthExceeded           = 440 // RFC 5393
	StatusBadInfoPackage               = 469 // RFC 6086
	StatusConsentNeeded                = 470 // RFC 5360
	StatusTemporarilyUnavailable       = 480 // RFC 3261
	StatusCallTransactionDoesNotExist  = 481 // RFC 3261
	StatusLoopDetected                 = 482 // RFC 3261
	StatusTooManyHops                  = 483 // RFC 3261
	StatusAddressIncomplete            = 484 // RFC 3261
	StatusAmbiguous                    = 485 // RFC 3261
	StatusBusyHere                     = 486 // RFC 3261
	StatusRequestTerminated            = 487 // RFC 3261
	StatusNotAcceptableHere            = 488 // RFC 3261
	StatusBadEvent                     = 489 // RFC 6665
	StatusRequestPending               = 491 // RFC 3261
	StatusUndecipherable               = 493 // RFC 3261
	StatusSecurityAgreementRequired    = 494 // RFC 3329

	StatusServerInternalError                 = 500 // RFC 3261
	StatusNotImplemented                      = 501 // RFC 3261
	StatusBadGateway                          = 502 // RFC 3261
	StatusServiceUnavailable                  = 503 // RFC 3261
	StatusServerTimeout                       = 504 // RFC 3261
	StatusVersionNotSupported                 = 505 // RFC 3261
	StatusMessageTooLarge                     = 513 // RFC 3261
	StatusPushNotificationServiceNotSupported = 555 // RFC 8599
	StatusPreconditionFailure                 = 580 // RFC 3312

	StatusBusyEverywhere        = 600 // RFC 3261
	StatusDecline               = 603 // RFC 3261
	StatusDoesNotExistAnywhere  = 604 // RFC 3261
	StatusNotAcceptableAnywhere = 606 // RFC 3261
	StatusUnwanted              = 607 // RFC 8197
	StatusRejected              = 608 // RFC 8688
)

// ReasonPhrase returns the registered reason phrase of a status code. For an unknown code it is the phrase of x00, which is
// how an unknown code must be understood (RFC 3261 section 8.1.3.2), and "" outside of 100 to 699.
func ReasonPhrase(status int) string {
	switch status {
	case StatusTrying:
		return "Trying"
	case StatusRinging:
		return "Ringing"
	case StatusCallIsBeingForwarded:
		return "Call Is Being Forwarded"
	case StatusQueued:
		return "Queued"
	case StatusSessionProgress:
		return "Session Progress"
	case StatusEarlyDialogTerminated:
		return "Early Dialog Terminated"
	case StatusOK:
		return "OK"
	case StatusAccepted:
		return "Accepted"
	case StatusNoNotification:
		return "No Notification"
	case StatusMultipleChoices:
		return "Multiple Choices"
	case StatusMovedPermanently:
		return "Moved Permanently"
	case StatusMovedTemporarily:
		return "Moved Temporarily"
	case StatusUseProxy:
		return "Use Proxy"
	case StatusAlternativeService:
		return "Alternative Service"
	case StatusBadRequest:
		return "Bad Request"
	case StatusUnauthorized:
		return "Unauthorized"
	case StatusPaymentRequired:
		return "Payment Required"
	case StatusForbidden:
		return "Forbidden"
	case StatusNotFound:
		return "Not Found"
	case StatusMethodNotAllowed:
		return "Method Not Allowed"
	case StatusNotAcceptable:
		return "Not Acceptable"
	case StatusProxyAuthenticationRequired:
		return "Proxy Authentication Required"
	case StatusRequestTimeout:
		return "Request Timeout"
	case StatusGone:
		return "Gone"
	case StatusConditionalRequestFailed:
		return "Conditional Request Failed"
	case StatusRequestEntityTooLarge:
		return "Request Entity Too Large"
	case StatusRequestURITooLong:
		return "Request-URI Too Long"
	case StatusUnsupportedMediaType:
		return "Unsupported Media Type"
	case StatusUnsupportedURIScheme:
		return "Unsupported URI Scheme"
	case StatusUnknownResourcePriority:
		return "Unknown Resource-Priority"
	case StatusBadExtension:
		return "Bad Extension"
	case StatusExtensionRequired:
		return "Extension Required"
	case StatusSessionIntervalTooSmall:
		return "Session Interval Too Small"
	case StatusIntervalTooBrief:
		return "Interval Too Brief"
	case StatusBadLocationInformation:
		return "Bad Location Information"
	case StatusBadAlertMessage:
		return "Bad Alert Message"
	case StatusUseIdentityHeader:
		return "Use Identity Header"
	case StatusProvideReferrerIdentity:
		return "Provide Referrer Identity"
	case StatusFlowFailed:
		return "Flow Failed"
	case StatusAnonymityDisallowed:
		return "Anonymity Disallowed"
	case StatusBadIdentityInfo:
		return "Bad Identity Info"
	case StatusUnsupportedCredential:
		return "Unsupported Credential"
	case StatusInvalidIdentityHeader:
		return "Invalid Identity Header"
	case StatusFirstHopLacksOutboundSupport:
		return "First Hop Lacks Outbound Support"
	case StatusMaxBreadthExceeded:
		return "Max-Breadth Exceeded"
	case StatusBadInfoPackage:
		return "Bad Info Package"
	case StatusConsentNeeded:
		return "Consent Needed"
	case StatusTemporarilyUnavailable:
		return "Temporarily Unavailable"
	case StatusCallTransactionDoesNotExist:
		return "Call/Transaction Does Not Exist"
	case StatusLoopDetected:
		return "Loop Detected"
	case StatusTooManyHops:
		return "Too Many Hops"
	case StatusAddressIncomplete:
		return "Address Incomplete"
	case StatusAmbiguous:
		return "Ambiguous"
	case StatusBusyHere:
		return "Busy Here"
	case StatusRequestTerminated:
		return "Request Terminated"
	case StatusNotAcceptableHere:
		return "Not Acceptable Here"
	case StatusBadEvent:
		return "Bad Event"
	case StatusRequestPending:
		return "Request Pending"
	case StatusUndecipherable:
		return "Undecipherable"
	case StatusSecurityAgreementRequired:
		return "Security Agreement Required"
	case StatusServerInternalError:
		return "Server Internal Error"
	case StatusNotImplemented:
		return "Not Implemented"
	case StatusBadGateway:
		return "Bad Gateway"
	case StatusServiceUnavailable:
		return "Service Unavailable"
	case StatusServerTimeout:
		return "Server Time-out"
	case StatusVersionNotSupported:
		return "Version Not Supported"
	case StatusMessageTooLarge:
		return "Message Too Large"
	case StatusPushNotificationServiceNotSupported:
		return "Push Notification Service Not Supported"
	case StatusPreconditionFailure:
		return "Precondition Failure"
	case StatusBusyEverywhere:
		return "Busy Everywhere"
	case StatusDecline:
		return "Decline"
	case StatusDoesNotExistAnywhere:
		return "Does Not Exist Anywhere"
	case StatusNotAcceptableAnywhere:
		return "Not Acceptable"
	case StatusUnwanted:
		return "Unwanted"
	case StatusRejected:
		return "Rejected"
	}
	switch status / 100 {
	case 1:
		return "Session Progress"
	case 2:
		return "OK"
	case 3:
		return "Multiple Choices"
	case 4:
		return "Bad Request"
	case 5:
		return "Server Internal Error"
	case 6:
		return "Busy Everywhere"
	}
	return ""
}
