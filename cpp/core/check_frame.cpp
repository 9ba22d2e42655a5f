// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/check_frame.h"

#include "core/edges.h"
#include "core/error.h"

#include <ATen/ATen.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

namespace egraff {

namespace {

using Vector = std::array<double, 3>;

// What loading a model may cost: candidates for neighbours that are looked at, and edges. Exported
// frames have a fifth of these edges at most.
constexpr double MOST_CANDIDATES = 1e7;
constexpr size_t MOST_EDGES = 10'000;

std::string number(double value) {
    std::ostringstream text;
    text.precision(6);
    text << value;
    return text.str();
}

[[noreturn]] void refuse(const std::string &path, const char *key, const std::string &problem) {
    throw Error(problem, {path, std::string("check_frame: ") + key},
                "export it again: egraff export best.ckpt -o " + path);
}

// What went wrong, between a trace of where and, from our operators, what to do.
std::string cause(std::string text) {
    text.erase(std::min(text.find("\n  fix: "), text.size()));
    text.erase(text.find_last_not_of("\n ") + 1);
    return text.substr(text.rfind('\n') + 1);
}

at::Tensor tensor(const std::vector<double> &values, at::IntArrayRef shape) {
    return at::from_blob(const_cast<double *>(values.data()), shape, at::kDouble).clone();
}

// Calls found(j, vector) for all neighbours j of all atoms i in turn, by looking at all pairs and
// images.
class ImageSearch {
  public:
    ImageSearch(const CheckFrame &frame, double r_max, const std::string &path)
        : positions_(frame.positions), r_max_(r_max) {
        at::Tensor lattice = at::zeros({3, 3}, at::kDouble); // zero along open directions
        if (!frame.cell.empty()) {
            lattice = tensor(frame.cell, {3, 3});
        }
        for (int a = 0; a < 3; ++a) {
            if (!frame.pbc[a]) {
                lattice[a].zero_();
            }
        }
        // columns are reciprocal vectors: d is dot(d, normal) lattice planes away from 0
        const at::Tensor normals = at::linalg_pinv(lattice).t().contiguous();
        double images = 1.0;
        for (int a = 0; a < 3; ++a) {
            for (int x = 0; x < 3; ++x) {
                lattice_[a][x] = lattice[a][x].item<double>();
                normals_[a][x] = normals[a][x].item<double>();
            }
            if (frame.pbc[a] && !(std::abs(dot(lattice_[a], normals_[a]) - 1.0) < 1e-6)) {
                std::ostringstream problem;
                problem << "expected three independent lattice vectors, got";
                for (const double x : frame.cell) {
                    problem << " " << x;
                }
                refuse(path, "cell", problem.str());
            }
            planes_[a] = r_max * std::sqrt(dot(normals_[a], normals_[a]));
            images *= 2.0 * planes_[a] + 1.0;
        }
        const auto n_atoms = double(frame.symbols.size());
        if (!(n_atoms * n_atoms * images <= MOST_CANDIDATES)) {
            refuse(path, "positions",
                   "expected a small structure, got " + number(n_atoms) + " atoms, each with " +
                       number(n_atoms * images) + " candidates for neighbours");
        }
    }

    template <typename Found> void neighbours(int64_t i, const Found &found) const {
        const auto n_atoms = int64_t(positions_.size() / 3);
        for (int64_t j = 0; j < n_atoms; ++j) {
            Vector d;
            for (int x = 0; x < 3; ++x) {
                d[x] = positions_[3 * j + x] - positions_[3 * i + x];
            }
            images(d, [&](const Vector &image, bool itself) {
                if (dot(image, image) < r_max_ * r_max_ && !(itself && i == j)) {
                    found(j, image);
                }
            });
        }
    }

  private:
    static double dot(const Vector &a, const Vector &b) {
        return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    }

    // Calls look(d + shift, whether the shift is zero) for all shifts that may be near enough.
    template <typename Look> void images(const Vector &d, const Look &look) const {
        std::array<int64_t, 3> first, last;
        for (int a = 0; a < 3; ++a) {
            const double plane = dot(normals_[a], d);
            first[a] = int64_t(std::ceil(-plane - planes_[a]));
            last[a] = int64_t(std::floor(-plane + planes_[a]));
        }
        for (int64_t p = first[0]; p <= last[0]; ++p) {
            for (int64_t q = first[1]; q <= last[1]; ++q) {
                for (int64_t r = first[2]; r <= last[2]; ++r) {
                    Vector image = d;
                    for (int x = 0; x < 3; ++x) {
                        image[x] += double(p) * lattice_[0][x] + double(q) * lattice_[1][x] +
                                    double(r) * lattice_[2][x];
                    }
                    look(image, p == 0 && q == 0 && r == 0);
                }
            }
        }
    }

    const std::vector<double> &positions_;
    double r_max_;
    std::array<Vector, 3> lattice_, normals_;
    std::array<double, 3> planes_; // number of lattice planes within the cutoff
};

std::vector<int64_t> species_of(const CheckFrame &frame, const std::vector<std::string> &elements) {
    std::vector<int64_t> species;
    for (const std::string &symbol : frame.symbols) {
        species.push_back(std::find(elements.begin(), elements.end(), symbol) - elements.begin());
    }
    return species;
}

} // namespace

Graph graph_of_check_frame(const Metadata &metadata, const std::string &path) {
    const CheckFrame &frame = metadata.check_frame;
    const auto species = species_of(frame, metadata.elements);
    const auto n_atoms = int64_t(species.size()), n_species = int64_t(metadata.elements.size());
    const ImageSearch search(frame, metadata.r_max, path);
    std::vector<int64_t> centres, neighbours;
    std::vector<double> vectors;
    for (int64_t i = 0; i < n_atoms; ++i) {
        search.neighbours(i, [&](int64_t j, const Vector &d) {
            const double cutoff = metadata.pair_cutoffs.empty()
                                      ? metadata.r_max
                                      : metadata.pair_cutoffs[species[i] * n_species + species[j]];
            if (d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < cutoff * cutoff) {
                centres.push_back(i);
                neighbours.push_back(j);
                vectors.insert(vectors.end(), d.begin(), d.end());
            }
            if (centres.size() > MOST_EDGES) {
                refuse(path, "positions",
                       "expected a structure of at most " + std::to_string(MOST_EDGES) +
                           " edges, got more");
            }
        });
    }
    const auto n_edges = int64_t(centres.size());
    return {at::tensor(species, at::kLong),
            at::stack({at::tensor(centres, at::kLong), at::tensor(neighbours, at::kLong)}),
            tensor(vectors, {n_edges, 3}), n_atoms, n_atoms};
}

void verify_check_frame(const Model &model) {
    const CheckFrame &frame = model.metadata().check_frame;
    const Graph graph = graph_of_check_frame(model.metadata(), model.path());
    Evaluation result;
    try {
        result = model.evaluate(graph);
    } catch (const Error &) {
        throw;
    } catch (const std::exception &failure) {
        refuse(model.path(), "energy",
               "expected a program that can be evaluated, got: " + cause(failure.what()));
    }

    const int64_t n_edges = graph.edge_vec.size(0);
    const int64_t *index = graph.edge_index.const_data_ptr<int64_t>();
    std::vector<double> forces(frame.forces.size(), 0.0);
    add_forces({n_edges, index, index + n_edges, graph.edge_vec.const_data_ptr<double>(),
                result.edge_gradient.const_data_ptr<double>()},
               graph.n_local, 1.0, forces.data());
    const double energy_error = std::abs(result.energy - frame.energy);
    double force_error = 0.0;
    for (size_t k = 0; k < forces.size(); ++k) {
        // written so that a NaN is an error
        const double error = std::abs(forces[k] - frame.forces[k]);
        force_error = error <= force_error ? force_error : error;
    }
    if (!(energy_error <= frame.energy_tolerance) || !(force_error <= frame.force_tolerance)) {
        throw Error(
            "expected the energy and forces stored with the check frame, got an energy that "
            "differs by " +
                number(energy_error) + " eV (allowed " + number(frame.energy_tolerance) +
                ") and forces that differ by up to " + number(force_error) +
                " eV/Angstrom (allowed " + number(frame.force_tolerance) + ") on " +
                model.device() + " with torch " TORCH_VERSION,
            {model.path(), "check_frame"},
            "do not use this file here; export it again with this torch, and report it if "
            "that does not help");
    }
}

} // namespace egraff
