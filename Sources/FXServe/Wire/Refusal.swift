internal import FXSystem

/// Why a request is not fulfilled: a condition with its codes and status, and one sentence.
///
/// The sentence never holds anything of another application: no names, no paths that were not in the request.
struct Refusal: Error, Sendable, Equatable {
    var condition: Condition
    var sentence: String
    /// Seconds after which the same request may succeed.
    var retryAfter: Int?
    /// What the function takes instead.
    var allowedMethods: [String] = []

    init(_ condition: Condition, _ sentence: String, retryAfter: Int? = nil) {
        self.condition = condition
        self.sentence = sentence
        self.retryAfter = retryAfter
    }
}

/// What can stand in the way.
enum Condition: String, Sendable, CaseIterable {
    case typeMissing, entityMissing, notFound, alreadyExists, notPermitted, parameter, payloadTooLarge, aborted
    case consentMissing, originRefused
    /// The service itself: not of the published table.
    case unauthorized, misdirected, noSuchFunction, methodRefused, unsupportedMediaType
    case tooManyRequests, storageFull, failed, stopping

    var status: Int {
        switch self {
        case .typeMissing, .entityMissing, .notFound, .alreadyExists, .parameter, .aborted, .consentMissing: 400
        case .originRefused, .unauthorized: 401
        case .notPermitted: 403
        case .noSuchFunction: 404
        case .methodRefused: 405
        case .payloadTooLarge: 413
        case .unsupportedMediaType: 415
        case .misdirected: 421
        case .tooManyRequests: 429
        case .failed: 500
        case .stopping: 503
        case .storageFull: 507
        }
    }

    /// The published codes, and where nobody publishes one, codes made to fit: docs/REST.md says which are which.
    func code(_ vintage: Vintage) -> String {
        let codes = codes
        return vintage == .seed ? codes.seed : codes.later
    }

    private var codes: (seed: String, later: String) {
        switch self {
        case .typeMissing: ("356", "511356")
        case .entityMissing: ("805", "511805")
        case .notFound: ("801", "513801")
        case .alreadyExists: ("801", "513802")
        case .notPermitted: ("803", "504803")
        case .parameter: ("125", "506125")
        case .payloadTooLarge: ("801", "506413")
        case .aborted: ("800", "503800")
        case .consentMissing: ("500", "814501")
        case .originRefused: ("120", "104025")
        case .unauthorized: ("121", "104025")
        case .misdirected: ("120", "504421")
        case .noSuchFunction: ("112999", "112999")
        case .methodRefused: ("125", "506405")
        case .unsupportedMediaType: ("125", "506415")
        case .tooManyRequests: ("800", "512429")
        case .storageFull: ("801", "513507")
        case .failed: ("801", "513500")
        case .stopping: ("199", "512503")
        }
    }

    /// Whether somebody published the code, or it was made to fit.
    func isPublished(_ vintage: Vintage) -> Bool {
        switch (self, vintage) {
        case (.typeMissing, .seed), (.entityMissing, .seed), (.notFound, .seed), (.notPermitted, .seed): true
        case (.parameter, .seed), (.consentMissing, _), (.originRefused, _), (.unauthorized, _): true
        case (.noSuchFunction, _): true
        default: false
        }
    }
}

/// Which generation of error codes is spoken.
public enum Vintage: String, Sendable, CaseIterable {
    /// The codes of the seed and of the first v3 draft: `356`.
    case seed
    /// Six digits, as from 3.3 on.
    case later
}
