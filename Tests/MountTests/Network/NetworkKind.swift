import FXSystem
import ServiceFixtures
import Testing

/// The services whose sessions are tested through a mount. A further one is a case here and a type that is a
/// `NetworkPlace`; every suite then runs over it.
enum NetworkKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case opentera, s3, tus, mft, itslearning

    /// Every kind, or those `FXMOUNT_NETWORK_KINDS` names, with commas.
    static let allCases: [NetworkKind] =
        Environment.value("FXMOUNT_NETWORK_KINDS").map { names in
            names.split(separator: ",").compactMap { NetworkKind(rawValue: String($0)) }
        } ?? all

    private static let all: [NetworkKind] = [.opentera, .s3, .tus, .mft, .itslearning]

    var testDescription: String { rawValue }

    /// It has an answer for a quota that is used up.
    var hasQuotas: Bool { self == .s3 || self == .mft }

    /// It takes many files at the same time; docs/SERVICES.md says why `opentera` does not.
    var takesManyAtOnce: Bool { self != .opentera }

    /// It is sent a file before its end is written: the others are told the size first (docs/SERVICES.md).
    var sendsWhileWritten: Bool { self == .s3 || self == .tus }

    /// It is asked for its sessions and what is in them. tus and itslearning have no word for either, and mft lists no
    /// open groups: what is written here is all there is (U1, S50, M1).
    var listsSessions: Bool { self == .opentera || self == .s3 }

    /// What the first look into asks the service, below the remote: a session that was not made by this mount, or the
    /// folders of a vault; nil where nothing is listed.
    func listing(of session: String) -> String? { listsSessions ? session : self == .mft ? "files" : nil }

    /// A wrong secret shows when a remote is listed and a session is made. tus tells what it is to everybody and
    /// itslearning is asked nothing: they want to know who it is only of an upload.
    var showsSecretsEarly: Bool { listsSessions || self == .mft }

    /// Making a session asks the service. tus is asked what it is (U1), and once it has answered no more; itslearning
    /// knows nothing of sessions (S50).
    var asksForNewSessions: Bool { listsSessions || self == .mft }

    /// What is in an open session is read from the service. mft gives nothing out before its group is complete (M4), and
    /// itslearning never (S52).
    var readsOpenSessions: Bool { self != .mft && self != .itslearning }

    /// What was committed can be read from the service at some time.
    var readsBack: Bool { self != .itslearning }

    /// It tells the largest file it takes, and that is not one a test cannot come near, as the 5 TiB of S3. mft says
    /// nothing of it before it refuses one.
    var tellsLargestFile: Bool { self != .s3 && self != .mft }

    /// What every name of a file ends with: itslearning denies names without an ending (S51).
    var ending: String { self == .itslearning ? ".dat" : "" }

    /// Committed files may be removed, with `delete = true`; docs/SERVICES.md says who cannot.
    var takesDelete: Bool { self != .mft && self != .itslearning }

    /// A file of several chunks, those of docs/SERVICES.md, or the size at which itslearning is asked first; nil where
    /// every file is one request like any other.
    var largeFile: Int? {
        switch self {
        case .opentera: nil
        case .itslearning: 2 << 20
        case .s3: 33 << 20
        case .tus: 17 << 20
        case .mft: 11 << 20
        }
    }

    /// The program kills of one run: each costs a start of the mount, and S3 has the most requests a file.
    var killPoints: Int { self == .s3 ? 24 : 8 }

    /// The least number of requests for a small file and two others, or for three: itslearning has one for each.
    var leastRequests: Int { self == .itslearning ? 3 : 4 }

    /// The test's service has no other users, so that it may be restarted.
    var isAlone: Bool { self != .s3 }

    /// A clean part of a service with a proxy in front of it.
    /// - Parameter alone: nobody else uses the service's processes, so that they may be stopped and killed.
    func place(alone: Bool = false) throws -> any NetworkPlace {
        switch self {
        case .opentera: try OpenTeraPlace()
        case .s3: try S3Place(alone: alone)
        case .tus: try TusPlace()
        case .mft: try MFTPlace()
        case .itslearning: try ItslearningPlace()
        }
    }
}
