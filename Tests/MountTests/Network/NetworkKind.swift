import FXSystem
import ServiceFixtures
import Testing

/// The services whose sessions are tested through a mount. A further one is a case here and a type that is a
/// `NetworkPlace`; every suite then runs over it.
enum NetworkKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case opentera, s3, tus

    /// Every kind, or those `FXMOUNT_NETWORK_KINDS` names, with commas.
    static let allCases: [NetworkKind] =
        Environment.value("FXMOUNT_NETWORK_KINDS").map { names in
            names.split(separator: ",").compactMap { NetworkKind(rawValue: String($0)) }
        } ?? all

    private static let all: [NetworkKind] = [.opentera, .s3, .tus]

    var testDescription: String { rawValue }

    /// It has an answer for a quota that is used up.
    var hasQuotas: Bool { self == .s3 }

    /// It takes many files at the same time; docs/SERVICES.md says why `opentera` does not.
    var takesManyAtOnce: Bool { self != .opentera }

    /// It is sent a file before its end is written: the others are told the size first (docs/SERVICES.md).
    var sendsWhileWritten: Bool { self == .s3 || self == .tus }

    /// It is asked for its sessions and what is in them. tus has no word for either: what is written here is all there
    /// is (U1).
    var listsSessions: Bool { self == .opentera || self == .s3 }

    /// A wrong secret shows when a session is made. tus tells what it is to everybody, and wants to know who it is
    /// only of an upload.
    var showsSecretsEarly: Bool { self != .tus }

    /// Making a session asks the service. tus is asked what it is (U1), and once it has answered no more.
    var asksForNewSessions: Bool { self != .tus }

    /// What is in an open session can be read from the service.
    var readsOpenSessions: Bool { true }

    /// What was committed can be read from the service at some time.
    var readsBack: Bool { true }

    /// It tells the largest file it takes, and that is not one a test cannot come near, as the 5 TiB of S3.
    var tellsLargestFile: Bool { self != .s3 }

    /// What every name of a file ends with.
    var ending: String { "" }

    /// Committed files may be removed, with `delete = true`.
    var takesDelete: Bool { true }

    /// A file of several chunks; nil where a file is one request. The chunks are those of docs/SERVICES.md.
    var severalChunks: Int? {
        switch self {
        case .opentera: nil
        case .s3: 33 << 20
        case .tus: 17 << 20
        }
    }

    /// The program kills of one run: each costs a start of the mount, and S3 has the most requests a file.
    var killPoints: Int { self == .s3 ? 24 : 8 }

    /// The test's service has no other users, so that it may be restarted.
    var isAlone: Bool { self != .s3 }

    /// A clean part of a service with a proxy in front of it.
    /// - Parameter alone: nobody else uses the service's processes, so that they may be stopped and killed.
    func place(alone: Bool = false) throws -> any NetworkPlace {
        switch self {
        case .opentera: try OpenTeraPlace()
        case .s3: try S3Place(alone: alone)
        case .tus: try TusPlace()
        }
    }
}
