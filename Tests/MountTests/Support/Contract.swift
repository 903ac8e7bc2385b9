import Foundation
import Glibc
import Testing

/// The documented command line and its JSON, as the tests expect it. The only file to change when a field is spelled
/// otherwise.
enum Contract {
    /// Where the embedded `local` remote keeps what was committed, below the state directory.
    static func store(_ state: String) -> String { "\(state)/store" }
    static func recovered(_ state: String) -> String { "\(state)/recovered" }

    /// A configuration file. Passthrough, and anything a suite needs beside it.
    static func configuration(passthrough: Bool, extra: String) -> String {
        (passthrough ? "" : "[mount]\npassthrough = false\n") + extra
    }

    static func createType(_ entity: String, _ type: String, path: String, policy: Policy) -> [String] {
        ["type", "create", entity, type, "--path", path, "--no-prompt", "--policy", policy.rawValue]
    }

    static let options = (
        application: "--app", daemon: "--daemon", json: "--json", timeout: "--timeout", lazy: "--lazy"
    )

    /// One kept version of a file.
    struct Version {
        let identifier: String
        let size: Int?
    }

    /// `fxmount versions list PATH --json`: a document with `versions`, an array, or JSON lines; newest or oldest
    /// first.
    static func versions(_ output: String) throws -> [Version] {
        try objects(output, list: "versions").compactMap { object in
            guard let identifier = ["version", "id", "stamp", "name"].lazy.compactMap({ object[$0] as? String }).first
            else { return nil }
            return Version(identifier: identifier, size: object["size"] as? Int)
        }
    }

    static func listVersions(_ path: String) -> [String] { ["versions", "list", path, "--json"] }
    static func showVersion(_ path: String, _ version: Version) -> [String] {
        ["versions", "show", path, version.identifier]
    }
    static func restoreVersion(_ path: String, _ version: Version) -> [String] {
        ["versions", "restore", path, version.identifier]
    }

    /// `fxmount status --json` and `.fxmount/status.json`: the daemon's process id.
    static func daemonProcess(_ status: String) -> Int32? { (object(status)?["pid"] as? Int).map(Int32.init) }

    /// `fxmount session status PATH --json`.
    static func sessionState(_ output: String) -> String? {
        guard let document = object(output) else { return nil }
        return document["state"] as? String ?? (document["session"] as? [String: Any])?["state"] as? String
    }

    /// Events as JSON lines: the refusals of the no-delete policy name an operation and a path.
    static func refusals(_ events: String) -> [[String: Any]] {
        events.split(separator: "\n").compactMap { object(String($0)) }
            .filter { line in line.values.contains { ($0 as? String)?.lowercased().contains("refus") == true } }
    }

    static func object(_ text: String) -> [String: Any]? {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any]
    }

    static func objects(_ text: String, list key: String) throws -> [[String: Any]] {
        if let whole = try? JSONSerialization.jsonObject(with: Data(text.utf8)) {
            if let array = whole as? [[String: Any]] { return array }
            if let document = whole as? [String: Any] {
                if let array = document[key] as? [[String: Any]] { return array }
                return [document]
            }
        }
        return text.split(separator: "\n").compactMap { object(String($0)) }
    }
}

/// The policies of DESIGN 3.1.
enum Policy: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case keepVersions = "keep-versions"
    case keepNames = "keep-names"
    case appendOnly = "append-only"
    case writeOnce = "write-once"
    case readOnly = "read-only"
    var testDescription: String { rawValue }
}

/// The exit codes of DESIGN 5.
enum ExitCode {
    static let ok: Int32 = 0
    static let failed: Int32 = 1
    static let usage: Int32 = 2
    static let configuration: Int32 = 10
    static let alreadyMounted: Int32 = 11
    static let noDelete: Int32 = 13
    static let verification: Int32 = 24
    static let workLeft: Int32 = 75
    static let waitTimedOut: Int32 = 124
}
