internal import FXSystem
internal import Foundation
internal import Glibc
internal import SystemPackage

/// The configuration file to edit: where it is, what stands in it, and how it is replaced.
struct ConfigurationStore {
    /// As a user names it.
    let path: String
    /// Empty when the file is not there yet.
    let text: String
    let exists: Bool

    /// The file in use, else the one that would be used first.
    /// - Throws: exit 10 when it is there and cannot be read.
    init(_ surroundings: Surroundings, flag: String?) throws(CommandFailure) {
        let candidates = surroundings.configurationCandidates(flag: flag).paths
        let found = candidates.first { unsafe access($0, F_OK) == 0 }
        guard let path = found ?? candidates.first else {
            throw CommandFailure(
                .configuration, "there is no place for a configuration file", hint: "pass --config FILE")
        }
        self.path = path
        exists = found != nil
        if !exists {
            text = ""
            return
        }
        guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8)
        else {
            throw CommandFailure(
                .configuration, "cannot read the configuration file \(displayed(path.utf8))",
                hint: "check that it is readable and is UTF-8 text", path: path)
        }
        self.text = text
    }

    /// What stands in it.
    func file() throws(CommandFailure) -> ConfigurationFile { try ConfigurationFile(path: path, text: text) }

    /// Replaces the file in one step, keeping its mode; makes it, and its directory, where there was none.
    /// - Throws: exit 10 when it cannot be written, exit 5 while somebody else writes it.
    func replace(with newText: String) throws(CommandFailure) {
        do throws(Errno) {
            let place = try place()
            try AtomicFile.write(
                Array(newText.utf8), to: place.name,
                in: try OwnedDescriptor.open(absolute: place.directory, .directory),
                // Names of hosts and accounts, and no secrets.
                mode: 0o644)
        } catch {
            throw CommandFailure(
                error, "cannot write the configuration file", path: path,
                hint: error == .wouldBlock
                    ? "another process is writing it; try again" : "name another with --config, or become its owner",
                status: error == .wouldBlock ? .temporary : .configuration)
        }
    }

    /// Where the file really is: a symbolic link to it stays one.
    private func place() throws(Errno) -> (directory: String, name: String) {
        var real = path
        if exists {
            real = String(
                decoding: try OwnedDescriptor.open(absolute: path, [.pathOnly]).realPath(), as: UTF8.self)
        }
        let slash = real.lastIndex(of: "/") ?? real.startIndex
        let directory = slash == real.startIndex ? "/" : String(real[..<slash])
        if !exists { try make(directory) }
        return (directory, String(real[slash...].dropFirst()))
    }

    private func make(_ directory: String) throws(Errno) {
        var built = ""
        for part in directory.split(separator: "/") {
            built += "/" + part
            if unsafe mkdir(built, 0o755) != 0, errno != EEXIST {
                let error = Errno(rawValue: errno)
                if unsafe access(built, F_OK) != 0 { throw error }
            }
        }
    }
}
