internal import FXSystem

/// What `fxmount remote test` shows.
extension TusService {
    public func examine() -> [ServiceFinding] {
        var findings: [ServiceFinding] = []
        do throws(RemoteError) {
            reconsider()
            let offer = try offer()
            findings.append(tus(offer))
            findings.append(try creation(offer))
            findings.append(reading())
            findings.append(limits(offer))
        } catch {
            let subject = error == .credentials ? "credentials" : findings.isEmpty ? "tus" : "creating uploads"
            findings.append(.failure(subject, error))
        }
        return findings
    }

    private func tus(_ offer: TusOffer) -> ServiceFinding {
        if offer.isGuessed {
            return ServiceFinding(
                .warning, "tus", "the service does not answer OPTIONS; the core protocol and creation are assumed")
        }
        return ServiceFinding(
            .works, "tus", "the service speaks tus 1.0.0: \(offer.extensions.sorted().joined(separator: ", "))")
    }

    /// One upload is created and terminated: it has no bytes, so it is no file at any time.
    private func creation(_ offer: TusOffer) throws(RemoteError) -> ServiceFinding {
        guard offer.terminates else {
            return ServiceFinding(
                .warning, "creating uploads",
                "not tried: the service lets nobody terminate uploads, so the trial would stay there")
        }
        let path = RelativePath([Name(constant: ".fxmount-test")])
        let trial = Upload(
            id: UploadID("test"), path: path, size: ByteCount(1), sha256: nil, modified: client.now())
        let target: String
        do throws(TusFailure) {
            target = try client.create(
                at: creationTarget(of: trial, layout ?? .flat), length: trial.size,
                metadata: TusMetadata.field(of: trial)
            ).target
        } catch { throw error.error }
        try client.terminate(target)
        let isAtPath = isAtPath(target)
        return ServiceFinding(
            .works, "creating uploads",
            isAtPath
                ? "an upload was created and terminated; files go below the url under their paths"
                : "an upload was created and terminated; files are known by their metadata")
    }

    private func reading() -> ServiceFinding {
        if configuration.filesPath != nil {
            return ServiceFinding(.works, "reading", "committed files are read where files_url says")
        }
        return ServiceFinding(
            .warning, "reading",
            "tus does not ask of a service that it serves what was uploaded; where it does not, files cannot be read back"
        )
    }

    private func limits(_ offer: TusOffer) -> ServiceFinding {
        let words = [
            offer.maximumSize.map { "files up to \($0)" } ?? "no limit is named",
            offer.defersLength ? "files are sent while they are written" : "files are sent when they are closed",
            offer.checksum.map { "each request is verified by \($0.rawValue)" } ?? "no checksums",
            offer.expires ? "unfinished uploads expire" : nil,
        ]
        return ServiceFinding(.works, "limits", words.compactMap(\.self).joined(separator: ", "))
    }
}
