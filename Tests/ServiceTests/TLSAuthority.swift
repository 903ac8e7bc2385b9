import CSyscalls
import FXSystem
import Foundation
import Glibc
import Testing

/// An authority nobody knows and what it certifies, made with openssl(1) in a directory that is gone with it.
final class TLSAuthority: Sendable {
    /// What a server shows, and the key to it: paths.
    struct Certificate: Sendable {
        var path: String
        var keyPath: String
    }

    /// Later than any test, and earlier: the clock has no say.
    static let future = "20991231235959Z"
    static let past = "20200102000000Z"
    private static let beginning = "20200101000000Z"
    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    private let directory: String

    /// What a client trusts: `ca_file`.
    var file: String { "\(directory)/ca.pem" }
    /// Its key, which is in PEM form too and certifies nothing.
    var keyFile: String { "\(directory)/ca.key" }
    private var settings: String { "\(directory)/ca.cnf" }

    /// - Parameter name: different for two authorities, so that nobody looks for the one with the key of the other.
    init(_ name: String) throws {
        directory = try EngineBench.newDirectory()
        try openssl(
            ["req", "-x509", "-days", "2", "-subj", "/CN=\(name)", "-keyout", keyFile, "-out", file]
                + TLSAuthority.newKey)
        // Only `openssl ca` takes both dates in every version there is.
        try write(
            """
            [ca]
            default_ca = own
            [own]
            database = \(directory)/index
            new_certs_dir = \(directory)
            certificate = \(file)
            private_key = \(keyFile)
            rand_serial = yes
            unique_subject = no
            default_md = sha256
            policy = any
            [any]
            commonName = supplied

            """, to: settings)
        try write("", to: "\(directory)/index")
    }

    deinit { EngineBench.remove(directory) }

    /// - Parameters:
    ///   - name: `IP:` or `DNS:` and the only name it is for.
    ///   - end: `future` or `past`.
    func certificate(for name: String = "IP:127.0.0.1", until end: String = TLSAuthority.future) throws -> Certificate {
        let path = "\(directory)/\(UInt64.random(in: 0...(.max)))"
        let made = Certificate(path: "\(path).pem", keyPath: "\(path).key")
        try openssl(
            ["req", "-new", "-subj", "/CN=fxmount test", "-keyout", made.keyPath, "-out", "\(path).csr"]
                + TLSAuthority.newKey)
        try write("subjectAltName=\(name)\n", to: "\(path).ext")
        try openssl([
            "ca", "-batch", "-notext", "-config", settings, "-extfile", "\(path).ext", "-startdate",
            TLSAuthority.beginning, "-enddate", end, "-in", "\(path).csr", "-out", made.path,
        ])
        return made
    }

    /// A file that trusts this authority and another one.
    func bundle(with other: TLSAuthority) throws -> String {
        let path = "\(directory)/both.pem"
        try write(
            try String(contentsOfFile: other.file, encoding: .utf8) + String(contentsOfFile: file, encoding: .utf8),
            to: path)
        return path
    }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }
}

/// Runs openssl(1) to its end.
private func openssl(_ arguments: [String]) throws {
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    defer { Glibc.close(null) }
    let argv = (["/usr/bin/env", "openssl"] + arguments).map { strdup($0) } + [nil]
    defer { argv.forEach { free($0) } }
    let process = Int32(cs_spawn(argv, environ, nil, null, null, null, .max, .max))
    try #require(process > 0, "openssl cannot be started")
    let status = cs_wait(process, 30_000)
    if status == -Int(ETIMEDOUT) {
        _ = cs_kill(-process, SIGKILL)
        _ = cs_wait(process, 5000)
    }
    try #require(status == 0, "openssl \(arguments.joined(separator: " ")) ended with \(status)")
}
