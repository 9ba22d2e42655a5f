// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff._core: the code that LAMMPS runs, for Python.
#include "core/check_frame.h"
#include "core/edges.h"
#include "core/finite.h"
#include "core/model.h"
#include "python_errors.h"

#include <ATen/ATen.h>
#include <torch/csrc/utils/pybind.h>

namespace {

using at::Tensor;

// LAMMPS builds its graphs itself; one from Python may hold anything, and compiled models end the
// process where an index is out of range.
void check_indices(const egraff::Graph &graph, int64_t n_species) {
    const auto check = [](const char *name, const Tensor &values, int64_t size) {
        if (values.numel() > 0) {
            const auto [low, high] = values.aminmax();
            const int64_t least = low.item<int64_t>(), most = high.item<int64_t>();
            TORCH_CHECK_VALUE(least >= 0 && most < size, name, ": expected indices from 0 to ",
                              size - 1, ", got ", least < 0 ? least : most);
        }
    };
    check("species", graph.species, n_species);
    if (graph.edge_index.dim() == 2 && graph.edge_index.size(0) == 2) {
        check("edge_index: centres", graph.edge_index.select(0, 0), graph.n_local);
        check("edge_index: neighbours", graph.edge_index.select(0, 1), graph.species.numel());
    }
}

py::dict evaluate(const egraff::Model &model, const Tensor &species, const Tensor &edge_index,
                  const Tensor &edge_vec, int64_t n_local,
                  const std::vector<std::string> &outputs) {
    const auto cpu = [](const Tensor &x, at::ScalarType type) {
        return x.detach().to(at::kCPU, type).contiguous();
    };
    const egraff::Graph graph{cpu(species, at::kLong), cpu(edge_index, at::kLong),
                              cpu(edge_vec, at::kDouble), n_local, n_local};
    check_indices(graph, static_cast<int64_t>(model.metadata().elements.size()));
    egraff::Evaluation result;
    Tensor forces, virial;
    {
        py::gil_scoped_release release;
        model.check_graph(graph);
        egraff::check_distances(graph);
        result = model.evaluate(graph, outputs);
        egraff::check_finite(graph, result);
        const int64_t n_edges = graph.edge_vec.size(0), n_nodes = graph.species.size(0);
        const int64_t *index = graph.edge_index.const_data_ptr<int64_t>();
        const egraff::Edges edges{n_edges, index, index + n_edges,
                                  graph.edge_vec.const_data_ptr<double>(),
                                  result.edge_gradient.const_data_ptr<double>()};
        forces = at::zeros({n_nodes, 3}, at::kDouble);
        egraff::add_forces(edges, n_nodes, 1.0, forces.mutable_data_ptr<double>());
        auto sums = egraff::virial(edges);
        virial = at::from_blob(sums.data(), {3, 3}, at::kDouble).clone();
    }
    py::dict answer;
    answer["energy"] = result.energy;
    answer["atomic_energy"] = result.atomic_energy;
    answer["edge_gradient"] = result.edge_gradient;
    answer["forces"] = forces;
    answer["virial"] = virial;
    for (const auto &[name, value] : result.extras) {
        answer[py::str(name)] = value;
    }
    return answer;
}

// Per-atom virials of a folded graph: [n_nodes, 6] or [n_nodes, 9].
Tensor atom_virials(const Tensor &edge_index, const Tensor &edge_vec, const Tensor &edge_gradient,
                    int64_t n_nodes, bool centroid) {
    TORCH_CHECK_VALUE(edge_index.dim() == 2 && edge_index.size(0) == 2 &&
                          edge_vec.sizes() == at::IntArrayRef({edge_index.size(1), 3}) &&
                          edge_gradient.sizes() == edge_vec.sizes(),
                      "expected edge_index [2, n_edges], edge_vec and edge_gradient [n_edges, 3]");
    TORCH_CHECK_VALUE(edge_index.numel() == 0 || (edge_index.min().item<int64_t>() >= 0 &&
                                                  edge_index.max().item<int64_t>() < n_nodes),
                      "edge_index: expected node indices below ", n_nodes);
    const Tensor index = edge_index.to(at::kCPU, at::kLong).contiguous();
    const Tensor vec = edge_vec.to(at::kCPU, at::kDouble).contiguous();
    const Tensor gradient = edge_gradient.to(at::kCPU, at::kDouble).contiguous();
    const egraff::Edges edges{index.size(1), index.const_data_ptr<int64_t>(),
                              index.const_data_ptr<int64_t>() + index.size(1),
                              vec.const_data_ptr<double>(), gradient.const_data_ptr<double>()};
    Tensor virials = at::zeros({n_nodes, centroid ? 9 : 6}, at::kDouble);
    (centroid ? egraff::add_centroid_virials
              : egraff::add_atom_virials)(edges, n_nodes, 1.0, virials.mutable_data_ptr<double>());
    return virials;
}

} // namespace

PYBIND11_MODULE(_core, module) {
    py::module_::import("torch"); // the tensor casters need its Python types
    module.doc() = "Exported models, evaluated by the code that LAMMPS runs.";

    egraff::translate_errors();

    py::class_<egraff::Model>(module, "Model", R"(An exported model.

Args:
    path: the exported file (``*.egraff.pt``).
    device: ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"auto"``.
    verify: evaluate the frame stored in the file and compare.

Raises:
    ModelFileError: the file cannot be used, or gives other values than those stored in it.
)")
        .def(py::init<const std::string &, const std::string &, bool>(),
             py::call_guard<py::gil_scoped_release>(), py::arg("path"), py::arg("device") = "cpu",
             py::arg("verify") = true)
        .def_property_readonly(
            "metadata", [](const egraff::Model &model) { return model.metadata().json; },
            "The file's ``egraff.json``, as text.")
        .def_property_readonly(
            "digest", [](const egraff::Model &model) { return model.metadata().digest; },
            "SHA-256 of the file's content.")
        .def_property_readonly(
            "elements", [](const egraff::Model &model) { return model.metadata().elements; },
            "Chemical symbols in the order of the species indices.")
        .def_property_readonly(
            "r_max", [](const egraff::Model &model) { return model.metadata().r_max; },
            "Cutoff in Angstrom.")
        .def_property_readonly(
            "dtype", [](const egraff::Model &model) { return model.metadata().dtype(); },
            "``\"float32\"`` or ``\"float64\"``.")
        .def_property_readonly(
            "outputs", [](const egraff::Model &model) { return model.metadata().outputs; },
            "Names of the model's outputs.")
        .def_property_readonly("device", &egraff::Model::device, "Where it runs, e.g. ``\"cpu\"``.")
        .def("verify", &egraff::verify_check_frame, py::call_guard<py::gil_scoped_release>(),
             R"(Evaluate the frame stored in the file and compare.

Raises:
    ModelFileError: other values than those stored in it.
)")
        .def("evaluate", &evaluate, py::arg("species"), py::arg("edge_index"), py::arg("edge_vec"),
             py::arg("n_local"), py::kw_only(), py::arg("outputs") = std::vector<std::string>{},
             R"(Evaluate a folded neighbour graph.

Args:
    species: int64 ``[n_nodes]``, index into ``elements``.
    edge_index: int64 ``[2, n_edges]``: centres (ascending), neighbours.
    edge_vec: ``[n_edges, 3]`` in Angstrom, r_j - r_i, all shorter than ``r_max``.
    n_local: number of nodes that are atoms of the system (all, unless an engine exchanges).
    outputs: names of further outputs that are wanted.

Returns:
    ``energy`` (float, eV), ``atomic_energy`` ``[n_local]`` in eV, ``edge_gradient``
    ``[n_edges, 3]`` in eV/Angstrom, ``forces`` ``[n_nodes, 3]`` in eV/Angstrom, ``virial``
    ``[3, 3]`` in eV (W = -sum of edge_vec (x) edge_gradient, so stress = -W / volume), all
    float64 on the CPU, and the wanted outputs.

Raises:
    ModelFileError: tensors of the wrong shape, or an output that the model does not have.
    InputError: two atoms at one place, or results that are not finite.
    ValueError: an index out of range.
)");

    module.def("atom_virials", &atom_virials, py::arg("edge_index"), py::arg("edge_vec"),
               py::arg("edge_gradient"), py::arg("n_nodes"), py::kw_only(),
               py::arg("centroid") = false,
               R"(Split the virial over atoms as the LAMMPS pair style does.

Args:
    edge_index: int64 ``[2, n_edges]``.
    edge_vec: ``[n_edges, 3]`` in Angstrom.
    edge_gradient: ``[n_edges, 3]`` in eV/Angstrom.
    n_nodes: number of atoms.
    centroid: all of an edge's virial to its neighbour, nine components (xx yy zz xy xz yz yx zx
        zy), for the heat flux; otherwise half to either end, six components (xx yy zz xy xz yz).

Returns:
    float64 ``[n_nodes, 6]`` or ``[n_nodes, 9]`` in eV.
)");
}
